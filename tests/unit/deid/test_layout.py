"""What the engine remembers of other instances never changes what it makes of this one."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.deid import Deidentifier, ProjectKey
from gateway.deid.trace import Trace
from gateway.dicom import encode
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.dicom.segments import copy_to
from gateway.errors import InstanceError
from gateway.profile import load_profile, shipped_profiles
from gateway.profile.situation import decided
from tests.fixtures.corpus import corpus_files
from tests.unit.deid.profiles import program

PROFILES = ["basic", "research-default", "chest-radiographs", "full-dates-cohort", "share-with-industry"]
CREATORS = ["GEMS_PARM_01", "SIEMENS MR HEADER", "ACME 1.1", "", "GEMS_PARM_01 " + "X" * 40]


class Numbers:
    """Counts for each purpose from 1."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], int] = {}

    def number(self, purpose: str, token: str) -> int:
        return self._given.setdefault((purpose, token), len(self._given) + 1)


@pytest.fixture(scope="module", params=PROFILES)
def deidentifier(request: pytest.FixtureRequest) -> Deidentifier:
    return Deidentifier(
        load_profile(request.param, search=[shipped_profiles()]), ProjectKey(b"k" * 32), numbers=Numbers()
    )


def variants() -> Iterator[Dataset]:
    """Instances of few makes: the same tags with other values, creators, VRs, lengths and character sets."""
    choose = random.Random(20260115)
    for number in range(60):
        found = Dataset()
        found.SpecificCharacterSet = choose.choice(["ISO_IR 100", "ISO_IR 192"])
        found.SOPClassUID = choose.choice(["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.1"])
        found.SOPInstanceUID = f"1.2.3.{number}"
        found.StudyInstanceUID = choose.choice(["1.2.7", "1.2.8"])
        found.SeriesInstanceUID = "1.2.7.1"
        found.StudyDate = choose.choice(["20240101", "20240229", ""])
        found.SeriesDate = found.ContentDate = found.AcquisitionDate = "20240101"
        found.StudyTime = found.SeriesTime = "101112"
        found.Modality = choose.choice(["CT", "CR"])
        found.Manufacturer = choose.choice(["ACME", "Peñalara"])
        found.StudyDescription = choose.choice(["TORAX PA", "TORAX GARCIA", "Garcia torax", "X" * 60])
        found.SeriesDescription = choose.choice(["AX", "GARCIA", "TORAX PA"])
        found.PatientName = choose.choice(["GARCIA^MARIA", "TORAX^PA", "Peñalara^Ana"])
        found.PatientID = choose.choice(["4711", "4712", ""])
        found.PatientBirthDate = "19500101"
        found.PatientSex = "F"
        found.PatientAge = choose.choice(["074Y", "091Y", "003Y"])
        found.BodyPartExamined = "CHEST"
        found.ProtocolName = "TORAX"
        found.AccessionNumber = choose.choice(["A1", "GARCIA"])
        found.ReferringPhysicianName = "TORAX^DR"
        found.StationName = "CT4711"
        inner = Dataset()
        inner.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        inner.ReferencedSOPInstanceUID = choose.choice(["1.2.3.900", "1.2.3.901"])
        found.ReferencedImageSequence = Sequence([inner] * choose.randint(0, 2))
        # What becomes of a private code depends on whose study it is.
        code = Dataset()
        code.CodeValue = choose.choice(["P1", "TORAX"])
        code.CodingSchemeDesignator = "99ACME"
        code.CodeMeaning = choose.choice(["TORAX PA", "TORAX", "AX"])
        found.ProcedureCodeSequence = Sequence([code])
        block = choose.choice([0x10, 0x11])
        for group in (0x0019, 0x0043):
            found.add_new((group, block), "LO", choose.choice(CREATORS))
            vr = choose.choice(["DS", "LO", "UN"])
            found.add_new((group, block << 8 | 0x02), vr, b"4711" if vr == "UN" else "4711")
            found.add_new((group, block << 8 | 0x27), "SL", 7)
            found.add_new((group, block << 8 | 0x39), "IS", "5")
        found.Rows = found.Columns = 2
        found.BitsAllocated = 16
        found.add_new("PixelData", "OW", bytes(8))
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = choose.choice([ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        yield found


def made(deidentifier: Deidentifier, path: Path, work: Path, *, trace: Trace | None = None) -> object:
    """The bytes and the account of the output, or the reason to hold."""
    try:
        with open_instance(path, work=work, limits=Limits(), max_reencode_bytes=1 << 26) as instance:
            output = deidentifier.apply(instance, decided(deidentifier.program, instance), trace=trace)
            file = io.BytesIO()
            copy_to(output.segments, file)
    except InstanceError as error:
        return error.message
    counts = {verb: count for verb, count in output.actions.items() if count}
    return file.getvalue(), output.patient_id, output.sop_uid, counts


def test_variants_of_a_make_are_told_apart(deidentifier: Deidentifier, tmp_path: Path) -> None:
    """A traced run looks at every element and remembers nothing."""
    paths = []
    for number, dataset in enumerate(variants()):
        paths.append(tmp_path / f"{number}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    expected = [made(deidentifier, path, tmp_path, trace=Trace()) for path in paths]
    order = [*range(len(paths)), *random.Random(1).sample(range(len(paths)), len(paths))]
    for number in order:
        assert made(deidentifier, paths[number], tmp_path) == expected[number], number
    assert len({str(one) for one in expected}) > 50


def test_what_an_instance_says_against_itself_counts_among_others_of_its_make(tmp_path: Path) -> None:
    """Private elements that stay in one instance of a series are called unsafe by the next, at each depth."""
    deidentifier = Deidentifier(program(tmp_path, "", use="basic, retain-safe-private"), ProjectKey(b"k" * 32))
    found = {}
    for said in ("nothing", "UNSAFE", "SAFE"):
        dataset = next(variants())
        inner = Dataset()
        inner.SliceThickness = "1"
        for each in (dataset, inner):
            for tag in [element.tag for element in each if element.tag.is_private]:
                del each[tag]
            each.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
            each.add_new(0x0019100C, "IS", "1234")
        dataset.PixelMeasuresSequence = Sequence([inner, inner])
        if said != "nothing":
            block = Dataset()
            block.PrivateGroupReference, block.PrivateCreatorReference = 0x0019, "SIEMENS MR HEADER"
            block.BlockIdentifyingInformationStatus = said
            dataset.PrivateDataElementCharacteristicsSequence = Sequence([block])
        path = tmp_path / f"{said}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        expected = made(deidentifier, path, tmp_path, trace=Trace())
        for _ in range(2):
            assert made(deidentifier, path, tmp_path) == expected, said
        assert isinstance(expected, tuple)
        found[said] = expected[0].count(b"1234")
    assert found == {"nothing": 3, "UNSAFE": 0, "SAFE": 3}


@pytest.mark.parametrize("before", ["LO", "OB"])
def test_the_vr_of_a_private_element_tells_makes_apart(tmp_path: Path, before: str) -> None:
    """The same numbers of the same creator: a text in some instances, items that VR UN hides in the next."""
    using = program(tmp_path, 'attributes:\n  - {keep: ["(0029,xxxx) ACME"], because: needed}')
    deidentifier = Deidentifier(using, ProjectKey(b"k" * 32))
    name = encode.element(0x00100010, b"PN", b"MOCKBURY", implicit=True)
    values = {
        "LO": "plain text that stays",
        "OB": b"plain bytes that stay!",
        "UN": encode.item_header(len(name)) + name,
    }
    # The first files of a make are walked element by element.
    for vr in (before, before, before, "UN", "UN", "UN"):
        dataset = next(variants())
        for tag in [element.tag for element in dataset if element.tag.is_private]:
            del dataset[tag]
        dataset.add_new(0x00290010, "LO", "ACME")
        dataset.add_new(0x00291020, vr, values[vr])
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
        found = made(deidentifier, tmp_path / "one.dcm", tmp_path)
        assert isinstance(found, tuple)
        assert b"MOCKBURY" not in found[0]
        assert (b"plain" in found[0]) is (vr != "UN")
    assert found == made(deidentifier, tmp_path / "one.dcm", tmp_path, trace=Trace())


def test_corpus_files(deidentifier: Deidentifier, tmp_path: Path) -> None:
    files = [path for path in corpus_files() if path.stat().st_size < 1 << 20]
    assert len(files) > 100
    for path in files:
        expected = made(deidentifier, path, tmp_path, trace=Trace())
        assert made(deidentifier, path, tmp_path) == expected, path.name
        assert made(deidentifier, path, tmp_path) == expected, path.name


def test_outputs_are_dicom(deidentifier: Deidentifier, tmp_path: Path) -> None:
    dataset = next(iter(variants()))
    dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    for _ in range(2):
        found = made(deidentifier, tmp_path / "one.dcm", tmp_path)
        assert isinstance(found, tuple)
        output = pydicom.dcmread(io.BytesIO(found[0]))
        assert output.Rows == 2
        assert output.PixelData == bytes(8)


def test_one_changed_byte_at_each_place(tmp_path: Path) -> None:
    """What was remembered of an instance is not taken for another that differs in one byte."""
    program = load_profile("research-default", search=[shipped_profiles()])
    deidentifier = Deidentifier(program, ProjectKey(b"k" * 32), numbers=Numbers())
    for number, dataset in enumerate(islice(variants(), 4)):
        dataset.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        made(deidentifier, tmp_path / f"{number}.dcm", tmp_path)
    received = (tmp_path / "0.dcm").read_bytes()
    assert isinstance(made(deidentifier, tmp_path / "0.dcm", tmp_path), tuple)
    path = tmp_path / "changed.dcm"
    seen = set()
    for place in range(received.index(b"DICM") + 4, len(received), 3):
        path.write_bytes(received[:place] + bytes((received[place] ^ 1,)) + received[place + 1 :])
        found = made(deidentifier, path, tmp_path)
        assert found == made(deidentifier, path, tmp_path, trace=Trace()), place
        seen.add(str(found))
    assert len(seen) > 50


def test_keys_do_not_share_what_they_made(tmp_path: Path) -> None:
    """Two projects in one process, the same profile and instances, another key."""
    program = load_profile("basic", search=[shipped_profiles()])
    one, other = (Deidentifier(program, ProjectKey(letter * 32)) for letter in (b"k", b"o"))
    next(variants()).save_as(tmp_path / "one.dcm", enforce_file_format=True)
    expected = [made(which, tmp_path / "one.dcm", tmp_path, trace=Trace()) for which in (one, other)]
    assert expected[0] != expected[1]
    for _ in range(3):
        assert [made(which, tmp_path / "one.dcm", tmp_path) for which in (one, other)] == expected


def test_what_the_engine_writes_depends_on_more_than_the_make(tmp_path: Path) -> None:
    """An earlier method is appended to, and inserted text is written in each instance's character set."""
    profile = tmp_path / "inserts.yaml"
    profile.write_text(
        "profile: inserts\ndescribes: test\nuse: [basic]\nattributes:\n"
        "  - {insert: {InstitutionName: Peñalara}, because: test}\n",
        encoding="utf-8",
    )
    deidentifier = Deidentifier(load_profile(str(profile), search=[shipped_profiles()]), ProjectKey(b"k" * 32))
    paths: list[Path] = []
    for method in ("first", "second"):
        for sets in ("ISO_IR 100", "ISO_IR 192", "ISO_IR 144"):
            dataset = next(variants())
            dataset.SpecificCharacterSet, dataset.DeidentificationMethod = sets, method
            dataset.Manufacturer, dataset.PatientName = "ACME", "GARCIA^MARIA"
            for _ in range(2):
                paths.append(tmp_path / f"{len(paths)}.dcm")
                dataset.save_as(paths[-1], enforce_file_format=True)
                if len(paths) % 2:
                    del dataset.DeidentificationMethod
    expected = [made(deidentifier, path, tmp_path, trace=Trace()) for path in paths]
    assert len({str(one) for one in expected}) > 6
    assert not any(isinstance(one, str) for one in expected)
    for _ in range(2):
        assert [made(deidentifier, path, tmp_path) for path in paths] == expected


def test_words_that_nobody_knows_are_told_of_every_instance(tmp_path: Path) -> None:
    """Also of those whose values were cleaned before: the site's vocabulary counts the patients who have them."""
    deidentifier = Deidentifier(load_profile("basic", search=[shipped_profiles()]), ProjectKey(b"k" * 32))
    dataset = next(variants())
    for patient in ("4711", "4712", "4711"):
        dataset.PatientID = patient
        dataset.SeriesDescription = dataset.ProcedureCodeSequence[0].CodeMeaning = "TORAX FLURBOMAT"
        dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
        with open_instance(
            tmp_path / "one.dcm", work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 26
        ) as instance:
            assert "flurbomat" in deidentifier.apply(instance).unknown_words, patient


def test_what_stands_between_the_runs_of_a_make_tells_whose_it_is(tmp_path: Path) -> None:
    """A name and a number that change from instance to instance, and are in the text beside them; terms, and none."""
    deidentifier = Deidentifier(load_profile("research-default", search=[shipped_profiles()]), ProjectKey(b"k" * 32))
    names = ["MOCKBURY", "ZABALETA", "TORAX", "PIE"]
    dataset = next(variants())
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.StudyDescription, dataset.SeriesDescription = "TORAX PA", "PIE AP"
    seen = set()
    for number in range(24):
        dataset.SOPInstanceUID = f"1.2.3.{100 + number}"
        dataset.InstanceNumber = number
        dataset.AdmissionID = f"{number % 3}4711"
        # Of the last instances the names are between the runs, of others in them.
        dataset.ReferringPhysicianName = names[number % 4 if number > 11 else number // 4]
        dataset.ConvolutionKernel = ["B30f", "MOCKBURY MARIA"][number // 12]
        dataset.SeriesDescription = "PIE TORAX"
        dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
        found = made(deidentifier, tmp_path / "one.dcm", tmp_path)
        assert found == made(deidentifier, tmp_path / "one.dcm", tmp_path, trace=Trace()), number
        assert isinstance(found, tuple)
        seen.add(pydicom.dcmread(io.BytesIO(found[0])).get("SeriesDescription", ""))
    assert seen == {"TORAX", "PIE TORAX", ""}


def test_a_run_may_stay_in_one_character_set_and_not_in_another(tmp_path: Path) -> None:
    """A word that is known, and one that nobody knows, of the same bytes."""
    deidentifier = Deidentifier(load_profile("basic", search=[shipped_profiles()]), ProjectKey(b"k" * 32))
    dataset = next(variants())
    dataset.SpecificCharacterSet, dataset.ConvolutionKernel = "ISO_IR 100", "TÓRAX"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    received = (tmp_path / "one.dcm").read_bytes()
    (tmp_path / "other.dcm").write_bytes(received.replace(b"ISO_IR 100", b"ISO_IR 144"))
    found = []
    for name in ("one.dcm", "one.dcm", "other.dcm", "one.dcm"):
        made_of = made(deidentifier, tmp_path / name, tmp_path)
        assert made_of == made(deidentifier, tmp_path / name, tmp_path, trace=Trace()), name
        assert isinstance(made_of, tuple)
        found.append("T\xd3RAX".encode("latin-1") in made_of[0])
    assert found == [True, True, False, True]
