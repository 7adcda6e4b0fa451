"""Coded entries, in every profile and at every depth: what is public knowledge stays, of the rest known words only."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from gateway.profile import Program
from tests.unit.deid.cleaning import CT, deidentified, instance, item, program

SENTENCE = "Marisol Etxeberria viene con su hermana"


@pytest.fixture(scope="module", params=["", "clean-descriptors"])
def profile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The basic profile alone, and with the option that cleans descriptors: codes are the same to both."""
    return program(tmp_path_factory.mktemp("profiles"), *filter(None, [request.param]))


def entry(value: str, scheme: str = "", meaning: str = "", **others: str) -> Dataset:
    found = item(CodeValue=value, **others)
    if scheme:
        found.CodingSchemeDesignator = scheme
    if meaning:
        found.CodeMeaning = meaning
    return found


def treated(found: Dataset, profile: Program, tmp_path: Path, *, depth: int = 1, implicit: bool = False) -> Dataset:
    """The entry as it leaves, ``depth`` sequences below the top level."""
    for _ in range(depth - 1):
        found = item(ConceptNameCodeSequence=[found])
    output = deidentified(instance(CT, Modality="CT", ViewCodeSequence=[found]), profile, tmp_path, implicit=implicit)
    left: Dataset = output.ViewCodeSequence[0]
    for _ in range(depth - 1):
        left = left.ConceptNameCodeSequence[0]
    return left


STAYS = [
    # the dictionary's own meaning
    ("113014", "DCM", "Study"),
    ("T-28000", "SRT", "Lung"),
    # a unit whose meaning is its code, is built of units, is its code in another spelling, or says it in words
    ("mGy.cm", "UCUM", "mGy.cm"),
    ("kBq/mL", "UCUM", "kBq/mL"),
    ("dGy.cm2", "UCUM", "dGycm2"),
    ("mm[Hg]", "UCUM", "mmHg"),
    ("10*-6.mm2/s", "UCUM", "10*-6.mm2/s"),
    ("cal/(24.h)", "UCUM", "kcal"),
    ("[hnsf'U]", "UCUM", "HU"),
    ("{H.B.}/min", "UCUM", "bpm"),
    ("{events}", "UCUM", "events"),
    ("ml", "UCUM", "milliliter"),
    ("Gy", "UCUM", "Gray"),
    ("1", "UCUM", "no units"),
    # a unit under the scheme of a vendor
    ("mGy.cm", "99PHILIPS", "mGy.cm"),
    # codes that only their scheme can have made, of which the dictionary has a part: their meanings are cleaned
    ("73211009", "SCT", "Diabetes"),
    ("718-7", "LN", "CT chest"),
    ("RID1301", "RADLEX", "Lung"),
    ("C34.1", "I10", "Lung"),
    ("130999", "DCM", "Lung"),
    # languages and countries
    ("es-ES", "RFC5646", "Spanish (Spain)"),
    ("cat", "ISO639_2", "Catalan"),
    ("ES", "ISO3166_1", "Spain"),
    # a private scheme with nothing but known words
    ("TORAX-PA", "L", "Torax PA"),
    ("12", "99PHILIPS", "Lung"),
]


@pytest.mark.parametrize(("value", "scheme", "meaning"), STAYS)
def test_what_is_public_stays(value: str, scheme: str, meaning: str, profile: Program, tmp_path: Path) -> None:
    left = treated(entry(value, scheme, meaning), profile, tmp_path)
    assert (left.CodeValue, left.CodingSchemeDesignator, left.CodeMeaning) == (value, scheme, meaning)


REWRITTEN = [
    # a name in place of the meaning of a known code
    ("T-28000", "SRT", "Marisol Etxeberria", "Lung"),
    ("113014", "DCM", "Study of Marisol", "Study"),
    ("es", "RFC5646", "Marisol", "Spanish"),
    # of the meaning of a unit never a part: the code, or what the dictionary says
    ("mGy.cm", "UCUM", "mGy.cm Marisol", "mGy.cm"),
    ("kBq/mL", "UCUM", "de Marisol", "kBq/mL"),
    ("mm", "UCUM", "Marisol", "mm"),
    ("mm", "UCUM", "Gray", "mm"),
    ("mm", "UCUM", "7391846", "mm"),
]


@pytest.mark.parametrize(("value", "scheme", "meaning", "written"), REWRITTEN)
def test_meanings_of_known_codes_are_written_again(
    value: str, scheme: str, meaning: str, written: str, profile: Program, tmp_path: Path
) -> None:
    assert treated(entry(value, scheme, meaning), profile, tmp_path).CodeMeaning == written


GOES = [
    # a person's number, as a code of a private scheme, of none, and of public ones
    entry("48921377K", "99LOC", "Madre"),
    entry("48921377", "", "Madre"),
    entry("48921377", "SCT", "Madre"),
    entry("48921377K", "DCM", "Madre"),
    entry("48921377", "FMA", "Madre"),
    entry("4892137-7", "LN", "Madre"),
    entry("7391846", "UCUM", "7391846"),
    entry("{Etxeberria}", "UCUM", "{Etxeberria}"),
    entry("mm{Etxeberria}", "UCUM", "mm"),
    entry("ana", "ISO639_2", "Marisol"),
    entry("Marisol", "99LOC", "Etxeberria"),
    # beside a code that is known
    entry("T-28000", "SRT", "Lung", LongCodeValue=SENTENCE),
    entry("T-28000", "SRT", "Lung", CodingSchemeVersion="Etxeberria"),
    entry("T-28000", "SRT", "Lung", CodingSchemeVersion="19580212"),
    entry("T-28000", "SRT", "Lung", URNCodeValue="urn:oid:1.2.3.5529104"),
    # a scheme named after a person, with and without 99
    entry("1", "99MARISOL", "Lung"),
    entry("1", "ETXEBERRIA", "Lung"),
    item(LongCodeValue=SENTENCE, CodingSchemeDesignator="99LOC", CodeMeaning="Lung"),
    item(URNCodeValue="http://hospital.example/Etxeberria", CodeMeaning="Lung"),
    # without a meaning, and a meaning alone
    entry("48921377K", "99LOC"),
    item(CodeMeaning=SENTENCE),
]
NEVER = ("48921377", "4892137", "7391846", "5529104", "arisol", "ARISOL", "txeberria", "TXEBERRIA", "hermana",
         "ana", "19580212")  # fmt: skip


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("received", GOES)
def test_what_nobody_vouches_for_goes(
    received: Dataset, profile: Program, tmp_path: Path, *, depth: int, implicit: bool
) -> None:
    left = treated(received, profile, tmp_path, depth=depth, implicit=implicit)
    assert {element.keyword for element in left} == {element.keyword for element in received}
    assert all(element.value for element in left)
    assert not [one for one in NEVER if any(one in str(element.value) for element in left)]


def test_one_code_is_one_keyed_code(profile: Program, tmp_path: Path) -> None:
    """What a site groups by stays grouped, and another scheme's same code is another."""
    codes = [treated(entry(value, scheme), profile, tmp_path) for value, scheme in [
        ("TORAX48921", "99LOC"), ("TORAX48921", "99LOC"), ("TORAX48922", "99LOC"), ("TORAX48921", "99OTRO"),
    ]]  # fmt: skip
    first, same, other, elsewhere = [(code.CodeValue, code.CodingSchemeDesignator) for code in codes]
    assert first == same
    assert first[0] != other[0]
    assert first[1] == other[1]
    assert first[0] != elsewhere[0]
    assert first[1] != elsewhere[1]
    assert first[1].startswith("99")


def test_schemes_are_identified_by_the_same_keyed_designator(profile: Program, tmp_path: Path) -> None:
    source = instance(CT, Modality="CT", ViewCodeSequence=[entry("1", "99MARISOL", "Lung")])
    source.CodingSchemeIdentificationSequence = [item(CodingSchemeDesignator="99MARISOL")]
    left = deidentified(source, profile, tmp_path)
    used = left.ViewCodeSequence[0].CodingSchemeDesignator
    assert left.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == used


def test_codes_at_the_top_level(profile: Program, tmp_path: Path) -> None:
    """Where no IOD has them."""
    left = deidentified(instance(CT, Modality="CT", CodeValue="48921377K", CodeMeaning=SENTENCE), profile, tmp_path)
    assert "48921377" not in left.CodeValue
    assert "Marisol" not in left.CodeMeaning


def test_what_a_profile_keeps_by_name_stays(tmp_path: Path) -> None:
    using = program(tmp_path, extra="attributes: [{keep: [CodeValue], because: codes of the trial}]\n")
    left = treated(entry("48921377K", "99LOC", "Marisol"), using, tmp_path)
    assert left.CodeValue == "48921377K"
    assert left.CodeMeaning != "Marisol"
