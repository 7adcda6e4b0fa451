"""Free text loses what identifies and keeps what radiology says."""

from __future__ import annotations

import csv
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from gateway.deid.clean import Cleaner
from gateway.deid.context import Context
from gateway.deid.words import words_of
from gateway.dicom.tag import show
from gateway.errors import RuleFailed
from gateway.profile import Program
from tests.unit.deid.cleaning import CT, deidentified, instance, item, program

ROOT = Path(__file__).resolve().parents[3]
DESCRIPTION = 0x00081030
CONTEXT = Context(
    names=frozenset(("garcia", "lopez", "maria", "martinez", "costa", "li")),
    phrases=frozenset(("hc4471823", "4471823", "thoraxcenter", "callemayor12")),
    short=frozenset(("17",)),
)


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), "clean-descriptors")


@pytest.fixture(scope="module")
def cleaner(descriptors: Program) -> Cleaner:
    return Cleaner(descriptors, CONTEXT)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("VUMC-MRI-2H130", "MRI-2H130"),  # the institution in front
        ("MRC35131", "MRC35131"),  # nothing of it
        ("CT_Amsterdam_3", "CT_3"),  # one of its words
        ("0000000000vumc", None),  # inside a word: nothing is left
        ("MRXLOPEZ7 3", "3"),  # a person
        ("AmsterdamUMC 1", "1"),  # joined
        ("00090004", "00090004"),  # a number that is called like the department only in part
        ("0009 4", "4"),  # and as a whole
        ("QWERTZ UIOP", "QWERTZ UIOP"),  # words that nobody knows
    ],
)
def test_names_alone_go_where_everything_else_is_kept(descriptors: Program, text: str, left: str | None) -> None:
    context = Context(names=frozenset(("lopez", "li")), sites=frozenset(("vumc", "amsterdam", "amsterdamumc", "0009")))
    assert Cleaner(descriptors, context).text(0x00081010, b"SH", text, keeps_unknown=True) == left


@pytest.mark.parametrize(
    ("vr", "text", "left"),
    [
        (b"LO", "TORAX\rPA GARCIA", "TORAX PA"),  # a line break where none may be
        (b"SH", "GARCIA\x00TORAX\x07", "TORAX"),  # other control characters
        (b"LT", "TORAX\r\nPA GARCIA", "TORAX\r\nPA"),  # lines stay where they may be
        (b"LO", "TORAX\rPA", "TORAX\rPA"),  # what stays as it is keeps its bytes
    ],
)
def test_control_characters(cleaner: Cleaner, vr: bytes, text: str, left: str) -> None:
    assert cleaner.text(DESCRIPTION, vr, text) == left


@pytest.mark.parametrize(
    "text",
    [
        # what radiology departments write, in three languages and their abbreviations
        "TORAX PA",
        "RX TÓRAX AP Y LATERAL",
        "RM DE RODILLA IZQUIERDA SIN CONTRASTE",
        "TC ABDOMEN-PELVIS C/C IV",
        "TC c/contraste",
        "Ecografía abdominal (completa)",
        "RX MALUC ESQUERRE",
        "CT HEAD W/O CONTRAST",
        "XR Chest 2 Views",
        "MR BRAIN W WO IV CONTRAST",
        "CT CHEST PE PROTOCOL",
        # digital radiography, not a doctor
        "DR TORAX PA",
        "RX DR PIE",
        "CR/DR MANO",
        "SERIE 10 a 20",
        "TORAX DR PA",
        # nor a mister, a missis, a lady or a gentleman
        "MR Pie",
        "Mr Brain",
        "Shoulder Mr Without Contrast",
        "RM MRS CABEZA",
        "CT HR Thorax",
        "500 ms Thorax",
        # width and level of a window
        "W 100 L 40",
        "WW350 WL50",
        "C40 W400",
        "Lung W1500 L-600",
        "Abdomen W:350, L:40",
        # sequences, levels, measurements, matrices, kernels, b-values
        "T1_TSE_SAG",
        "MR L5-S1 T12 120kV 512x512 1500 ms",
        "AbdomenRoutine 5.0 B30f",
        "DWI b1000 ADC 3mm",
        "X-RAY long axis white matter",
        # a number alone is a number
        "3",
        # a term in full
        "Localizer",
    ],
)
def test_safe_text_stays_as_it_is(cleaner: Cleaner, text: str) -> None:
    assert cleaner.text(DESCRIPTION, b"LO", text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("TORAX PA GARCIA", "TORAX PA"),
        # the study's names: accents, joined, split, in longer words, misspelt beside another one, with digits
        ("tórax garcía", "tórax"),
        ("GARCIALOPEZ RX", "RX"),
        ("RX GAR CIA-LOPEZ", "RX"),
        ("RX MARTINEZA1", "RX"),
        ("RX C O S T A", "RX"),
        ("RX GARCIA LOPES", "RX"),
        ("MARIA.GARCIA-CRANEO", "CRANEO"),
        ("COSTA1 torax", "torax"),
        # the study's identifiers, also without punctuation and in pieces; a short one only as the whole value
        ("CT HC-4471823", "CT"),
        ("CT 44 71823", "CT"),
        ("17", None),
        ("17 views", "17 views"),
        # an institution made of ordinary words, an address
        ("Thorax Center knee", "knee"),
        ("knee Calle Mayor 12", "knee"),
        # names of others: every unknown word, and weak words beside it
        ("TORAX SMITH", "TORAX"),
        ("HEAD SMITH", None),
        ("RX TORAX DE LA VEGA", "RX TORAX"),
        # who is announced goes even if the word is a term
        ("RX TORAX Dr. Cobb", "RX TORAX"),
        ("RX TORAX Dra de la Fuente y lateral", "RX TORAX lateral"),
        ("TORAX PTE Axial", "TORAX"),
        # written as a title, or behind a modality to which digital radiography does not belong, beside any word
        ("ECO Dr Pie", "ECO"),
        ("ECO DR PIE", "ECO"),
        ("eco dr mano", "eco"),
        ("TC TORAX Dr Cabeza", "TC TORAX"),
        ("CT CHEST Mr Hand", "CT CHEST"),
        ("RM MUÑECA Mrs Head", "RM MUÑECA"),
        ("TAC Md Colon", "TAC"),
        ("US Hr. Hand", "US"),
        ("CT Ms Hand", "CT"),
        ("Dr Pie", None),
        ("Ms Knee", None),
        ("TORAX; DR MANO", "TORAX"),
        # an age beside a vertebra is no window, nor is a year a width
        ("W 93 L5", "L5"),
        ("C 27 W 1931", None),
        ("TORAX W 100 L 40 SMITH", "TORAX W 100 L 40"),
        # dates and times as people write them
        ("TORAX 12/03/2019", "TORAX"),
        ("TORAX 2019-03-12 10:45", "TORAX"),
        ("TORAX 3 de marzo de 2019", "TORAX"),
        ("TORAX 12-MAR-19", "TORAX"),
        ("TORAX March 3rd, 2019", "TORAX"),
        ("TORAX 20190312", "TORAX"),
        ("TORAX may 5", "TORAX"),
        ("TORAX 03.05.", "TORAX"),
        ("CT 2024-W12", "CT"),
        # ages as they are shortened
        ("RX torax 91 a", "RX torax"),
        ("RX TORAX muj 93", "RX TORAX"),
        ("US liver F, 95", "US liver"),
        ("TORAX 12/03", "TORAX"),
        ("TORAX a las 9.30 h", "TORAX"),
        # telephone numbers, mail, hosts, documents, ages, beds, file numbers
        ("TORAX tel 963 12 34 56", "TORAX"),
        ("TORAX +34 963-123-456", "TORAX"),
        ("TORAX maria@example.org", "TORAX"),
        ("TORAX https://pacs.example.org/x?id=1", "TORAX"),
        ("TORAX 10.1.2.3", "TORAX"),
        ("TORAX 12345678Z", "TORAX"),
        ("TORAX 12.345.678-Z", "TORAX"),
        ("TORAX X1234567L", "TORAX"),
        ("TORAX 45 años", "TORAX"),
        ("TORAX 45y", "TORAX"),
        ("TORAX cama 12", "TORAX"),
        ("TORAX NHC 123", "TORAX"),
        ("TORAX 2231", "TORAX"),
        ("TORAX 1.2.840.113619.2", "TORAX"),
        # addresses on the street
        ("C/ Mayor 3, 46001 Valencia RX torax", "RX torax"),
        ("RX torax avda Blasco 12 3", "RX torax"),
        # punctuation: what stood between stays plausible, brackets stay balanced
        ("T1_GARCIA_SAG", "T1_SAG"),
        ("ECO ABDOMEN (GARCIA)", "ECO ABDOMEN"),
        ("TORAX (PA GARCIA) AP", "TORAX PA AP"),
        ("TORAX - GARCIA - PA", "TORAX - PA"),
        ("GARCIA: TORAX", "TORAX"),
        # nothing left to say
        ("GARCIA LOPEZ^MARIA", None),
        ("GARCIA 2", None),
        ("de la", "de la"),
        ("", None),
        (" ", None),
        # other scripts are no known words
        ("胸部 山田", None),
        ("Грудь Иванов chest", "chest"),
    ],
)
def test_identity_goes(cleaner: Cleaner, text: str, left: str | None) -> None:
    assert cleaner.text(DESCRIPTION, b"LO", text) == left


@pytest.mark.parametrize(
    ("vr", "text", "left"),
    [
        # lines: each on its own, and a name does not reach into the next line
        (b"LT", "TORAX\r\nGARCIA\r\nCABEZA", "TORAX\r\nCABEZA"),
        (b"LT", "CRANEO\\GARCIA", "CRANEO"),
        # several values keep their places
        (b"LO", "CRANEO\\GARCIA\\PIE", "CRANEO\\\\PIE"),
        (b"LO", "GARCIA\\LOPEZ", None),
        # a code string stays whole or goes
        (b"CS", "CHEST", "CHEST"),
        (b"CS", "CHEST_GARCIA", None),
        (b"CS", "CHEST_GARCIA\\AXIAL", "\\AXIAL"),
        # no free text
        (b"PN", "TORAX", None),
        (b"OB", "TORAX", None),
        (b"DA", "20240101", None),
    ],
)
def test_value_representations(cleaner: Cleaner, vr: bytes, text: str, left: str | None) -> None:
    assert cleaner.text(DESCRIPTION, vr, text) == left


def test_site_vocabulary_stays_except_for_the_study_itself(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# ours\nBERGAMOT\nProtocolo Smith\n", encoding="utf-8")
    own = program(tmp_path, "clean-descriptors", extra="vocabulary: [words.txt]\n")
    text = "BERGAMOT SMITH TORAX JONES"
    assert Cleaner(own, Context()).text(DESCRIPTION, b"LO", text) == "BERGAMOT SMITH TORAX"
    assert Cleaner(own, Context(names=frozenset(("smith",)))).text(DESCRIPTION, b"LO", text) == "BERGAMOT TORAX"


def test_unknown_words_hold_where_the_profile_says_so(tmp_path: Path) -> None:
    strict = Cleaner(program(tmp_path, "clean-descriptors", extra="when-unsure: hold\n"), CONTEXT)
    # what is known to identify goes without a question
    assert strict.text(DESCRIPTION, b"LO", "TORAX GARCIA 12/03/2019") == "TORAX"
    with pytest.raises(RuleFailed) as error:
        strict.text(DESCRIPTION, b"LO", "TORAX SMITH")
    assert show(DESCRIPTION) in str(error.value)
    assert "SMITH" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "identifies"), [("GARCIA1", True), ("RX001", False), ("HC-4471823", True), ("2024-03-15", True)]
)
def test_codes_that_identify(cleaner: Cleaner, text: str, *, identifies: bool) -> None:
    assert cleaner.identifies(text) is identifies


def test_words_are_folded_and_apart() -> None:
    words = words_of(frozenset())
    assert all(word == word.lower() and word.isascii() for word in words.safe | words.weak | words.person)
    assert not words.safe & words.weak
    assert not words.safe & words.address
    # of the words that announce a person, only those stay at times that are terms
    assert words.safe & words.person == {"dr", "md", "mr", "mrs", "pac", "sr", "tec"}


def test_no_word_of_a_coded_term_that_people_bear_is_safe_by_itself() -> None:
    names = set((files("gateway.deid") / "data" / "name-words.txt").read_text(encoding="ascii").split())
    assert {"williams", "montana", "cruz"} <= names
    assert {"williams", "montana", "cruz"}.isdisjoint(words_of(frozenset()).safe)


@pytest.mark.parametrize("implicit", [False, True])
def test_descriptors_of_an_instance(descriptors: Program, tmp_path: Path, *, implicit: bool) -> None:
    source = instance(
        CT,
        StudyDescription="TÓRAX García",
        SeriesDescription="Etxebarria",
        ProtocolName="HC 4471823",
        ImageComments="tórax\r\nMaría",
        AdmittingDiagnosesDescription=["FRACTURA", "LOPEZ"],
        RequestAttributesSequence=[
            item(ScheduledProcedureStepDescription="TORAX RIBERA", RequestedProcedureID="4471823")
        ],
    )
    output = deidentified(source, descriptors, tmp_path, implicit=implicit)
    assert output.StudyDescription == "TÓRAX"
    assert "SeriesDescription" not in output
    assert "ProtocolName" not in output
    assert output.ImageComments == "tórax"
    assert list(output.AdmittingDiagnosesDescription) == ["FRACTURA", ""]
    assert output.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "TORAX"


def test_text_in_other_character_sets(descriptors: Program, tmp_path: Path) -> None:
    for term, codec in (("ISO_IR 192", "utf8"), ("ISO_IR 100", "latin_1"), ("ISO_IR 101", "iso8859_2")):
        source = instance(CT, SpecificCharacterSet=term, ReferringPhysicianName="X^Y", StudyDescription="CRÁNEO Müller")
        output = deidentified(source, descriptors, tmp_path)
        raw = output.get_item("StudyDescription")
        assert raw is not None
        assert raw.value is not None
        assert raw.value.strip() == "CRÁNEO".encode(codec)


def test_code_meanings_come_from_the_dictionary(descriptors: Program, tmp_path: Path) -> None:
    def code(value: str, scheme: str, meaning: str) -> list[object]:
        return [item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]

    source = instance(
        CT,
        # a code of the standard with a meaning that somebody wrote
        AnatomicRegionSequence=code("69536005", "SCT", "Cabeza de María"),
        # the same concept in SNOMED-RT
        ViewCodeSequence=code("T-D1100", "SRT", "Cabeza"),
        # a private scheme: the meaning is cleaned, a code that identifies becomes a keyed one
        ProcedureCodeSequence=code("RX001", "99LOCAL", "TORAX PA GARCIA"),
        RequestedProcedureCodeSequence=code("GARCIA1", "99LOCAL", "Etxebarria"),
        # a listed sequence that the option cleans
        ReasonForRequestedProcedureCodeSequence=code("R1", "99LOCAL", "fractura, LOPEZ"),
    )
    output = deidentified(source, descriptors, tmp_path)
    assert output.AnatomicRegionSequence[0].CodeMeaning == "Head"
    assert output.ViewCodeSequence[0].CodeMeaning == "Head"
    assert output.ProcedureCodeSequence[0].CodeMeaning == "TORAX PA"
    assert output.ProcedureCodeSequence[0].CodeValue == "RX001"
    local = output.RequestedProcedureCodeSequence[0]
    assert local.CodeMeaning == "DEIDENTIFIED"
    assert len(local.CodeValue) == 16
    assert "GARCIA" not in local.CodeValue
    assert output.ReasonForRequestedProcedureCodeSequence[0].CodeMeaning == "fractura"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # long runs of what the patterns begin with; a search that grew with the square of the length would not end
        ("a." * 30_000, None),
        ("garcia " * 9_000, None),
        ("calle " * 10_000, None),
        ("1/1/2020 " * 7_000, None),
        ("9" * 60_000, None),
        ("a-a@" * 15_000, None),
        ("1." * 30_000, None),
        ("( " * 30_000 + "torax garcia", "torax"),
    ],
)
def test_long_hostile_text(cleaner: Cleaner, text: str, left: str | None) -> None:
    assert cleaner.text(DESCRIPTION, b"UT", text) == left


def test_code_meanings_are_up_to_date() -> None:
    script = ROOT / "scripts" / "generate-code-meanings"
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0


def test_content_items_are_what_the_generator_writes(tmp_path: Path) -> None:
    source = ROOT / "tests" / "scorer" / "data" / "ps3.15-e.3.4-1.csv"
    written = tmp_path / "content-items.csv"
    script = ROOT / "scripts" / "generate-content-items"
    subprocess.run([sys.executable, str(script), str(source), str(written)], check=True)
    assert written.read_bytes() == (files("gateway.deid") / "data" / "content-items.csv").read_bytes()


def test_content_item_table_is_whole() -> None:
    text = (files("gateway.deid") / "data" / "content-items.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 214
    assert {row["basic"] for row in rows} == {"X", "D", "X/D"}
    assert all(row[option] in ("", "K", "C") for row in rows for option in row if option.isdecimal())
