"""The gateway's own stamps and dummies: no rule takes them away, and none holds an instance because of them."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from gateway.deid import Deidentifier
from gateway.dicom.segments import copy_to
from gateway.errors import LeakSuspected, ProfileError
from gateway.rehearsal.smallest_images import Smallest, smallest
from gateway.verify import Verifier
from tests.fixtures.treating import KEY, opened, program

STAMPED = "PatientIdentityRemoved", "DeidentificationMethod", "LongitudinalTemporalInformationModified"


@pytest.fixture(scope="module")
def instances() -> dict[str, Smallest]:
    return {one.kind: one for one in smallest() if one.form == "full"}


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("remove: [unlisted]", "CT"),  # everything that no rule names, the stamps among it
        ("remove: [unlisted]", "PDF"),  # the length of our own document besides
        ("remove: ['VR:SH']", "CT"),  # the codes in the stamp
        ("empty: ['VR:LO']", "CT"),  # the method, and the meanings of the codes
        ("remove: ['VR:CS']", "CT"),  # the stamps that say YES and REMOVED
        ("remove: ['VR:SQ']", "CT"),  # the codes' sequence
        ("remove: ['(0012,xxxx)']", "CT"),  # the group of the stamps
        ("remove: [CodeMeaning]", "SR"),  # the meanings, anywhere
        ("empty: [CodeMeaning]", "SR"),  # the same
        ("dummy: ['VR:SH']", "SR"),  # the code of our own content item is one that was there
        ("dummy: ['VR:CS']", "SR"),  # and so is its kind
        ("remove: [PatientIdentityRemoved]", "CT"),  # by name
        ("remove: [VerifyingOrganization]", "SR"),  # a part of our own dummy of who verified
        ("remove: ['VR:PN']", "SR"),  # another part of it
        ("dummy: ['VR:SQ']", "SR"),  # dummies of every sequence
    ],
)
def test_a_rule_leaves_the_stamps(tmp_path: Path, instances: dict[str, Smallest], rule: str, kind: str) -> None:
    using = program(tmp_path, f"attributes:\n  - {rule}")
    with opened(instances[kind].write(tmp_path)) as instance:
        output = Deidentifier(using, KEY).apply(instance)
        Verifier(using).check(instance, output.segments)
        with (tmp_path / "out.dcm").open("wb") as file:
            copy_to(output.segments, file)
    found = pydicom.dcmread(tmp_path / "out.dcm")
    assert all(found[keyword].value for keyword in STAMPED)
    (code,) = found.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodeMeaning) == ("113100", "Basic Application Confidentiality Profile")


def test_what_a_rule_takes_is_not_in_a_dummy(tmp_path: Path, instances: dict[str, Smallest]) -> None:
    using = program(tmp_path, "attributes:\n  - remove: [VerifyingOrganization]\n  - empty: ['VR:PN']")
    with opened(instances["SR"].write(tmp_path)) as instance, (tmp_path / "out.dcm").open("wb") as file:
        copy_to(Deidentifier(using, KEY).apply(instance).segments, file)
    (observer,) = pydicom.dcmread(tmp_path / "out.dcm").VerifyingObserverSequence
    assert "VerifyingOrganization" not in observer
    assert observer.VerifyingObserverName == ""
    assert observer.VerificationDateTime == "19000101000000"


def test_a_stamp_inside_a_sequence_is_none(tmp_path: Path, instances: dict[str, Smallest]) -> None:
    # It tells of another instance, in words that somebody chose: the rule counts.
    dataset = instances["CT"].dataset.copy()
    dataset.RequestAttributesSequence[0].DeidentificationMethod = "by hand"
    using = program(tmp_path, "attributes:\n  - keep: [RequestAttributesSequence]\n  - remove: ['VR:LO']")
    path = Smallest("CT", "full", dataset).write(tmp_path)
    with opened(path) as instance, (tmp_path / "out.dcm").open("wb") as file:
        copy_to(Deidentifier(using, KEY).apply(instance).segments, file)
    found = pydicom.dcmread(tmp_path / "out.dcm")
    assert "DeidentificationMethod" not in found.RequestAttributesSequence[0]
    assert found.DeidentificationMethod


@pytest.mark.parametrize(
    "rule",
    [
        "insert: {PatientIdentityRemoved: 'NO'}",  # says what is not true
        "replace: {DeidentificationMethod: by hand}",  # says nothing of what was done
        "copy: {DeidentificationMethod: ImageComments}",  # brings text of the instance
        "replace: {LongitudinalTemporalInformationModified: UNMODIFIED}",  # contradicts what was done to dates
        "dummy: [DeidentificationMethod]",  # the same
        "replace: {DeidentificationMethodCodeSequence/CodeValue: '113100'}",  # claims an option
    ],
)
def test_no_rule_writes_a_stamp(tmp_path: Path, rule: str) -> None:
    with pytest.raises(ProfileError, match="the gateway's own stamp"):
        program(tmp_path, f"attributes:\n  - {rule}")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("CodeMeaning", "somebody"),  # text where no rule looks
        ("PatientName", "SOMEBODY"),  # an element that no code has
        ("CodeValue", "999999"),  # a method that the standard does not have
    ],
)
def test_the_verifier_knows_what_a_stamp_is(
    tmp_path: Path, instances: dict[str, Smallest], keyword: str, value: str
) -> None:
    using = program(tmp_path, "")
    with opened(instances["CT"].write(tmp_path)) as instance:
        with (tmp_path / "out.dcm").open("wb") as file:
            copy_to(Deidentifier(using, KEY).apply(instance).segments, file)
        spoilt = pydicom.dcmread(tmp_path / "out.dcm")
        other = pydicom.Dataset()
        other.CodeValue, other.CodingSchemeDesignator, other.CodeMeaning = "113110", "DCM", "Retain UIDs Option"
        setattr(other, keyword, value)
        spoilt.DeidentificationMethodCodeSequence.append(other)
        spoilt.save_as(tmp_path / "spoilt.dcm")
        with pytest.raises(LeakSuspected, match=r"\(0012,0064\)"):
            Verifier(using).check(instance, [(tmp_path / "spoilt.dcm").read_bytes()])
