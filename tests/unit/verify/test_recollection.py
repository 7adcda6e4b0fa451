"""What the verifier found out about other instances never changes its verdict about this one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom.dictionary import tag_of, vr_of
from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import Segment, copy_to
from gateway.errors import InstanceError, LeakSuspected
from gateway.profile import Program, load_profile, shipped_profiles
from gateway.profile.situation import decided
from gateway.verify import Kind, Verifier, harvest
from gateway.verify.harvest import Harvester
from gateway.verify.output_reader import read_output
from gateway.verify.program_rules import Rules
from gateway.verify.recollection import Recollection
from gateway.verify.verifier import Checks
from tests.unit.dicom.encoding import explicit
from tests.unit.verify.support import item, opened, original, write


@pytest.fixture(scope="module", params=["basic", "research-default"])
def program(request: pytest.FixtureRequest) -> Program:
    return load_profile(request.param, search=[shipped_profiles()])


def series(number: int, **values: object) -> Dataset:
    """One of many instances that differ in a few elements; private ones of two kinds among them."""
    found = original(
        SpecificCharacterSet="ISO_IR 100",
        StudyDate="20240229",
        SeriesDate="20240229",
        Modality="CT",
        Manufacturer="ACME",
        StudyDescription="TORAX PA",
        PatientName="GARCIA^MARIA",
        PatientID="4711-0815",
        PatientBirthDate="19500101",
        BodyPartExamined="CHEST",
        ScanningSequence="SE",
        SequenceVariant="SK",
        ScanOptions="PFP",
        MRAcquisitionType="2D",
        SequenceName="EPI RESOLVE",
        StudyInstanceUID="1.2.276.0.7230010.3.1.2.1",
        SeriesInstanceUID="1.2.276.0.7230010.3.1.3.1",
        ImageComments="without finding",
        Rows=2,
        Columns=2,
        ReferencedImageSequence=[item(ReferencedSOPInstanceUID="1.2.276.0.7230010.3.1.4.7")],
    )
    found.SOPInstanceUID = f"1.2.276.0.7230010.3.1.4.{100 + number}"
    found.InstanceNumber = number
    for offset, value in enumerate(("MARIA", "4711-0815", "EPI", "SE")):
        found.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(offset + 8, "LO", value)
    for keyword, one in values.items():
        setattr(found, keyword, one)
    return found


class Bench:
    """A verifier that has met a series, beside one that has met nothing."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.engine = Deidentifier(program, ProjectKey(b"k" * 32))
        self.verifier = Verifier(program)

    def received(self, dataset: Dataset) -> Instance:
        return opened(write(self.folder / "received.dcm", dataset))

    def made(self, instance: Instance) -> tuple[Segment, ...]:
        return self.engine.apply(instance, decided(self.program, instance)).segments

    def meet(self, dataset: Dataset) -> tuple[Segment, ...]:
        """The output of ``dataset``, which is clean."""
        with self.received(dataset) as instance:
            segments = self.made(instance)
            self.verifier.check(instance, segments, decided(self.program, instance))
        return segments

    def verdict(self, verifier: Verifier, instance: Instance, output: bytes) -> str:
        try:
            verifier.check(instance, [output], decided(self.program, instance))
        except InstanceError as error:
            return error.message
        return ""

    def agreed(self, instance: Instance, output: bytes) -> str:
        """The verdict, on which both agree."""
        fresh = self.verdict(Verifier(self.program), instance, output)
        assert self.verdict(self.verifier, instance, output) == fresh
        return fresh


@pytest.fixture
def bench(program: Program, tmp_path: Path) -> Bench:
    found = Bench(program, tmp_path)
    for number in range(6):
        found.meet(series(number))
    return found


def joined(segments: tuple[Segment, ...]) -> bytes:
    file = io.BytesIO()
    copy_to(segments, file)
    return file.getvalue()


def test_clean_outputs_are_clean_again(bench: Bench) -> None:
    for number in (6, 0, 3):
        with bench.received(series(number)) as instance:
            assert bench.agreed(instance, joined(bench.made(instance))) == ""


def test_one_changed_byte_at_each_place(bench: Bench) -> None:
    """Of the output of an instance whose series is known."""
    with bench.received(series(6)) as instance:
        output = joined(bench.made(instance))
        verdicts = {
            bench.agreed(instance, output[:place] + bytes((output[place] ^ 1,)) + output[place + 1 :])
            for place in range(0, len(output), 3)
        }
    assert len(verdicts) > 20


#: Kept elements and their values.
PLACES = [
    ("Modality", "CT"),
    ("BodyPartExamined", "CHEST"),
    ("ScanningSequence", "SE"),
    ("ScanOptions", "PFP"),
    ("SequenceName", "EPI RESOLVE"),
]


@pytest.mark.parametrize(
    ("sender", "leak"),
    [
        # the name of the patient whose instances were met
        ({}, "MARIA"),
        # names and identifiers that identified nobody in the instances met
        ({"PatientName": "XIMENEZ^ANNA"}, "XIMENEZ"),
        ({"PatientID": "QXWV7731"}, "QXWV7731"),
    ],
)
def test_a_leak_is_found_at_each_place(bench: Bench, sender: dict[str, str], leak: str) -> None:
    with bench.received(series(7, **sender)) as instance:
        output = joined(bench.made(instance))
        assert bench.agreed(instance, output) == ""
        leaking = [output.replace(encoded(keyword, value), encoded(keyword, leak)) for keyword, value in PLACES]
        for one in leaking:
            assert one != output
            assert bench.agreed(instance, one)
    # Of another patient the same bytes tell nothing.
    with bench.received(series(7, PatientName="LOPEZ^JUAN", PatientID="8001-9")) as instance:
        output = joined(bench.made(instance))
        for keyword, value in PLACES:
            assert bench.agreed(instance, output.replace(encoded(keyword, value), encoded(keyword, leak))) == ""


def encoded(keyword: str, value: str | bytes) -> bytes:
    """The element as an explicit VR file has it."""
    tag = tag_of(keyword)
    assert tag is not None
    raw = value if isinstance(value, bytes) else value.encode("ascii")
    return explicit(tag, vr_of(tag).decode(), raw + b" " * (len(raw) % 2))


def test_character_sets_are_told_apart(bench: Bench) -> None:
    """The same bytes are one name in Latin-1 and another in Cyrillic."""
    raw = "Иваново".encode("iso8859_5")
    names = {"ISO_IR 144": "Иваново", "ISO_IR 100": raw.decode("latin-1")}
    for sets in ("ISO_IR 144", "ISO_IR 100", "ISO_IR 144"):
        for name, leaks in ((names[sets], True), ("LOPEZ", False)):
            dataset = series(6, SpecificCharacterSet=sets, PatientName=f"{name}^A")
            with bench.received(dataset) as instance:
                output = joined(bench.made(instance))
                text = output.replace(encoded("SequenceName", "EPI RESOLVE"), encoded("SequenceName", raw))
                assert text != output
                assert bool(bench.agreed(instance, text)) == leaks


def test_what_pixel_rules_wrote_is_a_leak_where_they_wrote_nothing(bench: Bench) -> None:
    """An element that the profile removes may be there after a change of pixels, and only then."""
    written = {0x00101040: encoded("PatientAddress", "cropped"), 0x00101080: encoded("MilitaryRank", "by pixel rules")}
    elements = {tag: (element,) for tag, element in written.items()}
    change = PixelChange(transfer_syntax=ExplicitVRLittleEndian, elements=elements)
    plain = PixelChange(transfer_syntax=ExplicitVRLittleEndian, elements={})
    with bench.received(series(6)) as instance:
        truths = decided(bench.program, instance)
        output = joined(bench.engine.apply(instance, truths, pixels=change).segments)
        assert b"".join(written.values()) in output
        for _ in range(3):
            bench.verifier.check(instance, [output], truths, pixels=change)
            verdict = bench.agreed(instance, output)
            for pixels in (None, plain):
                with pytest.raises(LeakSuspected):
                    bench.verifier.check(instance, [output], truths, pixels=pixels)
    assert "(0010,1040)" in verdict


def test_what_an_instance_says_of_private_elements_counts_each_time(tmp_path: Path) -> None:
    """Retain Safe Private: the instance's own word (PS3.3 C.12.1.1.7) is part of what a verdict depends on."""
    profile = tmp_path / "safe.yaml"
    believing = "attributes:\n  - {keep: [safe-private], believe: sender, because: tried}\n"
    profile.write_text(
        f"profile: safe\ndescribes: test\nuse: [basic, retain-safe-private]\n{believing}", encoding="utf-8"
    )
    bench = Bench(load_profile(str(profile), search=[shipped_profiles()]), tmp_path)
    said = item(PrivateGroupReference=0x0019, PrivateCreatorReference="ACME HEADER")
    nested = item(CodeValue="T-1")
    nested.private_block(0x0019, "ACME HEADER", create=True).add_new(8, "PN", "LOPEZ^ANA")
    rules = Rules(bench.program)
    harvester = Harvester(rules)
    outputs: dict[str | None, bytes] = {}
    verdicts, kept = set(), set()
    for status in ("SAFE", "UNSAFE", "SAFE", None):
        said.BlockIdentifyingInformationStatus = status
        more = {} if status is None else {"PrivateDataElementCharacteristicsSequence": [said]}
        with bench.received(series(6, NumberOfSlices=2, ViewCodeSequence=[nested], **more)) as instance:
            own = joined(bench.made(instance))
            outputs.setdefault(status, own)
            assert bench.agreed(instance, own) == ""
            for output in outputs.values():
                verdicts.add((status, output == own, bench.agreed(instance, output) == ""))
            found = harvester.harvest(instance)
            assert found == harvest(instance, rules)
            kept.add(Kind.NAME in {finding.kind for finding in found.kept})
    assert kept == {True, False}
    assert {("SAFE", True, True), ("UNSAFE", False, False)} <= verdicts


def test_harvests_are_the_same_whatever_was_met_before(bench: Bench) -> None:
    for rules in (None, Rules(bench.program)):
        harvester = Harvester(rules)
        for number in range(8):
            more = {"PatientName": "LOPEZ^ANA"} if number % 3 == 1 else {}
            if number % 3 == 2:
                more = {"SpecificCharacterSet": "ISO_IR 192", "InstitutionName": "Hôpital"}
            with bench.received(series(number, **more)) as instance:
                assert harvester.harvest(instance) == harvest(instance, rules)


def test_harvests_are_told_apart_by_character_set(bench: Bench, tmp_path: Path) -> None:
    """The same bytes of a name in two character sets, whose terms have the same length."""
    harvester = Harvester(None)
    path = write(tmp_path / "latin.dcm", series(0, PatientName="GARCÍA^José"))
    names = set()
    for sets in (b"ISO_IR 100", b"ISO_IR 144") * 2:
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", sets).replace(b"ISO_IR 144", sets))
        with opened(path) as instance:
            assert harvester.harvest(instance) == harvest(instance)
            names |= {finding.text for finding in harvest(instance).findings if finding.kind is Kind.NAME}
    assert {"GARCÍA^José", "GARCЭA^Josщ"} <= names


def test_needles_depend_on_what_was_written(bench: Bench) -> None:
    """Dates that the program wrote, and the device's own type, are no leaks."""
    checks = Checks(bench.program.specialise([False] * len(bench.program.conditions)))
    with bench.received(series(0, StationName="ACME4711", ManufacturerModelName="ACME4711")) as instance:
        found = harvest(instance)
        output = read_output(instance, bench.made(instance))
    made = []
    for dates in (frozenset[str](), frozenset(("20240229",))):
        for device_type in ((), found.device_type):
            one = replace(found, device_type=device_type)
            made += [checks.needles(one, output, dates) for _ in range(2)]
    assert len(set(made)) == 4
    assert made[::2] == made[1::2]


def test_p8_the_memory_is_bounded() -> None:
    found = Recollection[int]()
    for number in range(5000):
        assert found.keep(number % 7, b"%d" % number, number) == number
        assert found.of(number % 7)[b"%d" % number] == number
    assert sum(len(found.of(context)) for context in range(7)) <= 1024
    assert found.of("none") == {}


def test_the_oldest_facts_are_forgotten_heavy_ones_instead_of_several() -> None:
    found = Recollection[int](10)
    for number in range(20):
        found.keep(number % 3, b"%d" % number, number)
    assert sorted(fact for context in range(3) for fact in found.of(context).values()) == list(range(10, 20))
    found.keep(0, b"heavy", -1, weight=6)
    assert sorted(fact for context in range(3) for fact in found.of(context).values()) == [-1, 16, 17, 18, 19]
    # One that is heavier than all together is alone; it goes with the next.
    found.keep(1, b"huge", -2, weight=100)
    assert [dict(found.of(context)) for context in range(3)] == [{}, {b"huge": -2}, {}]
    found.keep(2, b"light", 3)
    assert [dict(found.of(context)) for context in range(3)] == [{}, {}, {b"light": 3}]
    found.keep(2, b"light", 4)
    assert dict(found.of(2)) == {b"light": 4}
