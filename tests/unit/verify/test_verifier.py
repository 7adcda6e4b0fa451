"""Verified outputs pass, and no output that keeps anything of its original does (promises P2, P9, P11)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.deid import Deidentifier, ProjectKey
from gateway.deid.engine import _Run
from gateway.dicom.encoded import walk
from gateway.dicom.file_meta import FileMeta, write_file_meta
from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import FileRange
from gateway.errors import GatewayError, InstanceError, LeakSuspected
from gateway.pixels.description import describe
from gateway.pixels.surplus import surplus_of
from gateway.profile import Program
from gateway.samples.sample_study import generate
from gateway.verify import Verifier
from gateway.verify.harvest import harvest
from tests.fixtures.corpus import corpus_files
from tests.fixtures.torture import torture
from tests.unit.verify.support import CT, SOP_INSTANCE, item, joined, opened, original, scan, write


@pytest.fixture(scope="module")
def deidentifier(basic: Program) -> Deidentifier:
    return Deidentifier(basic, ProjectKey(b"k" * 32))


def corpus(tmp_path: Path) -> Iterator[tuple[str, Instance]]:
    """Every public file that can be opened; a link in a directory of its own keeps work files apart."""
    for number, path in enumerate(corpus_files()):
        folder = tmp_path / str(number)
        folder.mkdir()
        link = folder / path.name
        link.symlink_to(path)
        try:
            instance = opened(link)
        except InstanceError:
            continue
        with instance:
            yield path.name, instance


def without_surplus(instance: Instance) -> PixelChange | None:
    """The change that takes away what stands beside the pixels, as the pipeline has it."""
    description = describe(instance)
    surplus = None if description is None else surplus_of(instance, description, longest=1 << 28)
    if surplus is None:
        return None
    return PixelChange(transfer_syntax=instance.transfer_syntax, elements=surplus.elements)


def test_public_files_pass(tmp_path: Path, basic: Program, deidentifier: Deidentifier) -> None:
    verifier, held, passed = Verifier(basic), [], 0
    for name, instance in corpus(tmp_path):
        try:
            change = without_surplus(instance)
            segments = deidentifier.apply(instance, pixels=change).segments
        except InstanceError:
            continue
        try:
            verifier.check(instance, segments, pixels=change)
        except LeakSuspected as error:
            held.append((name, str(error)))
        passed += 1
    assert held == []
    assert passed > 200


def test_samples_pass(tmp_path: Path, basic: Program, deidentifier: Deidentifier) -> None:
    verifier, count = Verifier(basic), 0
    for sample in generate(11, "VERIFY"):
        with opened(sample.write(tmp_path)) as instance:
            change = without_surplus(instance)
            verifier.check(instance, deidentifier.apply(instance, pixels=change).segments, pixels=change)
        count += 1
    assert count > 5


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_every_listed_attribute(tmp_path: Path, basic: Program, deidentifier: Deidentifier, depth: int) -> None:
    path = tmp_path / "torture.dcm"
    path.write_bytes(torture(depth).content)
    with opened(path) as instance:
        Verifier(basic).check(instance, deidentifier.apply(instance).segments)


@pytest.mark.parametrize("depth", [1, 2])
def test_an_engine_that_does_not_look_into_sequences_is_caught(
    tmp_path: Path, basic: Program, deidentifier: Deidentifier, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "torture.dcm"
    path.write_bytes(torture(depth).content)
    monkeypatch.setattr(_Run, "_items", lambda *_, **__: None)
    with opened(path) as instance:
        segments = deidentifier.apply(instance).segments
        with pytest.raises(LeakSuspected, match=r"\(0008,22(18|20)\)\[0\]"):
            Verifier(basic).check(instance, segments)
        assert len(scan(basic, instance, segments)) == 20


def test_unchanged_public_files_do_not_pass(tmp_path: Path, basic: Program) -> None:
    """An engine that did nothing but the file meta information: the assertion sees it at once."""
    verifier, caught = Verifier(basic), 0
    for name, instance in corpus(tmp_path):
        meta = FileMeta(
            transfer_syntax=instance.transfer_syntax,
            sop_class_uid=instance.meta.sop_class_uid,
            sop_instance_uid=instance.meta.sop_instance_uid,
        )
        start = min(element[2] for element in instance.elements)
        rest = FileRange(instance.path, start, len(instance.buffer) - start)
        with pytest.raises(LeakSuspected):
            verifier.check(instance, [write_file_meta(meta), rest])
        # The leak scan alone sees it as well, wherever there was anything to find.
        if len(harvest(instance).uids) > 1:
            assert scan(basic, instance, [write_file_meta(meta), rest]), name
            caught += 1
    assert caught > 150


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    nested = item(PatientName="MUSTERFRAU^ERIKA", ReferencedSOPInstanceUID="1.2.276.0.7230010.3.1.4.300")
    source = original(
        PatientName="MUSTERFRAU^ERIKA",
        PatientID="MRN-0048151",
        PatientBirthDate="19610808",
        ViewCodeSequence=[nested],
        FillPattern=b"\0\1Musterfrau\2\3",
    )
    with opened(write(tmp_path / "original.dcm", source)) as found:
        yield found


def test_names_in_elements_that_the_profile_keeps(
    instance: Instance, basic: Program, deidentifier: Deidentifier
) -> None:
    with pytest.raises(LeakSuspected) as caught:
        Verifier(basic).check(instance, deidentifier.apply(instance).segments)
    assert caught.value.facts == {
        "where": "(0070,0256)",
        "reason": "kind name",
        "hits": ("(0070,0256): name",),
    }


def test_messages_hold_no_value(instance: Instance, basic: Program, deidentifier: Deidentifier) -> None:
    """Every single byte string of the output put back to the original's: whatever is raised tells no value."""
    made = joined(deidentifier.apply(instance).segments)
    identities = ("MUSTERFRAU", "ERIKA", "0048151", "19610808", SOP_INSTANCE, "1.2.276.0.7230010")
    raised = 0
    for _, (_, _, start, _, end, items) in walk(instance.elements):
        if items is not None:
            continue
        with pytest.raises(GatewayError) as caught:
            Verifier(basic).check(instance, [made, instance.buffer[start:end]])
        text = f"{caught.value} {caught.value.facts} {caught.value!r}".upper()
        assert not any(identity in text for identity in identities)
        raised += 1
    assert raised > 6


def test_a_second_pass_over_an_own_output(
    tmp_path: Path, instance: Instance, basic: Program, deidentifier: Deidentifier
) -> None:
    made = joined(deidentifier.apply(instance).segments).replace(b"for Musterfrau", b"HU            ")
    path = tmp_path / "again" / "made.dcm"
    path.parent.mkdir()
    path.write_bytes(made)
    with opened(path) as again:
        Verifier(basic).check(again, deidentifier.apply(again).segments)


def test_outputs_that_cannot_be_read_back(instance: Instance, basic: Program, deidentifier: Deidentifier) -> None:
    made = joined(deidentifier.apply(instance).segments)
    for broken in (
        b"",  # nothing
        made[:200],  # cut off in the file meta information
        made[:-3],  # cut off in a value
        made + b"\x08\x00\x05\x00CS\x02\x00Y ",  # elements out of order, twice the same
        write_file_meta(FileMeta("1.2.840.10008.1.2.1.99", CT, "2.25.1")) + b"deflated",  # not to be searched
    ):
        with pytest.raises(InstanceError):
            Verifier(basic).check(instance, [broken])


def test_a_range_beyond_its_file(instance: Instance, basic: Program, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"1234")
    for segment in (FileRange(instance.path, 0, len(instance.buffer) + 1), FileRange(other, 2, 4)):
        with pytest.raises(GatewayError, match="is not what was stored"):
            Verifier(basic).check(instance, [segment])


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        # a class that nobody registered stays, but not with the patient's number or a date of the header
        ("1.2.276.7391846.1", "id"),
        ("1.2.276.20240315.1", "date"),
        # nothing of the header in it, and a class that Siemens publishes
        ("1.2.276.4711.1", ""),
        ("1.3.12.2.1107.5.9.1", ""),
    ],
)
def test_classes_that_tell_of_the_patient(
    tmp_path: Path, basic: Program, deidentifier: Deidentifier, sop_class: str, kind: str
) -> None:
    dataset = original(SOPClassUID=sop_class, PatientID="HC-7391846", StudyDate="20240315")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.1", "1.2.3.2"
    with opened(write(tmp_path / "one.dcm", dataset)) as instance:
        output = deidentifier.apply(instance).segments
        if not kind:
            Verifier(basic).check(instance, output)
            return
        with pytest.raises(LeakSuspected) as caught:
            Verifier(basic).check(instance, output)
    assert caught.value.facts["hits"] == (f"(0008,0016): {kind}",)
