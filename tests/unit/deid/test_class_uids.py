"""UIDs that name classes, syntaxes, schemes and registers: what somebody registered stays, anything else goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.dicom.dictionary import VR_OF
from gateway.dicom.tag import show
from gateway.dicom.uid import is_well_known
from gateway.profile import Program, Verb
from tests.unit.deid.cleaning import CT, deidentified, instance, item, program

#: Nobody's.
MADE_UP = "1.2.276.0.7230010.99.4471823"


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"))


@pytest.fixture(scope="module")
def retaining(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), "retain-uids")


def test_no_uid_stays_because_nobody_thought_of_it(basic: Program) -> None:
    """Of all UID attributes of the dictionary one stays as it is: what an instance is."""
    groups = (0x0000, 0x0002, 0x0004)
    kept = [tag for tag, vr in VR_OF.items() if vr == b"UI" and tag >> 16 not in groups]
    assert [show(tag) for tag in kept if basic.action(tag).verb is Verb.KEEP] == ["(0008,0016)"]


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize(
    ("keyword", "registered"),
    [
        ("CodingSchemeUID", "1.2.840.10008.2.16.4"),  # DCM
        ("CodingSchemeUID", "2.16.840.1.113883.6.96"),  # SNOMED CT
        ("ContextUID", "1.2.840.10008.6.1.1"),
        ("MappingResourceUID", "1.2.840.10008.8.1.1"),
        ("ContextGroupExtensionCreatorUID", ""),
        ("ReferencedSOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
        ("ReferencedSOPClassUID", "1.3.12.2.1107.5.9.1"),  # Siemens CSA non-image
        ("RelatedGeneralSOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
        ("OriginalSpecializedSOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
        ("SOPClassesInStudy", "1.2.840.10008.5.1.4.1.1.2"),
        ("AvailableTransferSyntaxUID", "1.2.840.10008.1.2.1"),
        ("EncryptedContentTransferSyntaxUID", "1.2.840.10008.1.2.1"),
        ("MACCalculationTransferSyntaxUID", "1.2.840.10008.1.2.1"),
        ("CreatorVersionUID", ""),
        ("SegmentationTemplateUID", ""),
    ],
)
def test_registered_ones_stay(
    tmp_path: Path, basic: Program, retaining: Program, keyword: str, registered: str, depth: int
) -> None:
    def source(uid: str) -> Dataset:
        values: Any = {keyword: uid}
        return instance(CT, ViewCodeSequence=[item(**values)]) if depth else instance(CT, **values)

    for using in (basic, retaining):
        for uid, stays in ((registered, True), (MADE_UP, False), ("1.2.840.10008.99.4471823", False)):
            if not uid:
                continue
            found = deidentified(source(uid), using, tmp_path)
            new = str(getattr(found.ViewCodeSequence[0] if depth else found, keyword))
            assert (new == uid) is stays, (keyword, uid)
            assert stays or new.startswith("2.25.")


def test_references_to_a_class_that_is_the_instances_own(tmp_path: Path, basic: Program) -> None:
    """A private class stays where it says what the instance is; nothing is held for it."""
    source = instance(
        CT, ReferencedImageSequence=[item(ReferencedSOPClassUID=MADE_UP, ReferencedSOPInstanceUID="1.2.3")]
    )
    source.SOPClassUID = "1.2.276.0.7230010.99.1"
    assert deidentified(source, basic, tmp_path).SOPClassUID == "1.2.276.0.7230010.99.1"


@pytest.mark.parametrize(
    ("uid", "known"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", True),
        ("2.16.840.1.113883.6.1", True),  # LOINC
        ("1.3.46.670589.11.0.0.12.1", True),  # a class of Philips
        ("1.3.46.670589.11.0.0.12.1.4471823", False),  # what somebody appends
        ("2.16.840.1.113883.6.4471823", False),
        (MADE_UP, False),
    ],
)
def test_what_is_registered(uid: str, known: bool) -> None:
    assert is_well_known(uid) is known
