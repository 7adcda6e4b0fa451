"""Pixels in the pipeline: caution, rules, decisions of people, pictures inside an instance, and what is left behind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from gateway.deid import ProjectKey
from gateway.dicom.encoded import Limits
from gateway.dicom.segments import copy_to
from gateway.errors import (
    BurnedInTextSuspected,
    FeaturesSuspected,
    InstanceError,
    LeakSuspected,
    SpoolUnavailable,
)
from gateway.ledger import ReviewRecord
from gateway.pixels.review import Review
from gateway.profile.pixel_program import Rectangle
from gateway.settings.pixel_settings import PixelSettings
from gateway.treatment import pixel_stage as pipeline_pixels
from gateway.treatment.pixel_stage import PixelStage, identifying_words, review_of
from gateway.treatment.treatment import OpeningRules, Treated, Treatment
from tests.fixtures.treating import CT, US, image, noise, opened, program, stored

KEY = ProjectKey(b"k" * 32)
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
RELEASE = Review(decision="release", actor="dpo", because="nothing there")
MASK = Review(decision="mask", boxes=(Rectangle(2, 3, 10, 5),), actor="dpo", because="a name")


@pytest.fixture(scope="module")
def stage() -> Iterator[PixelStage]:
    stage = PixelStage(PixelSettings())
    yield stage
    stage.close()


def treat(
    folder: Path,
    stage: PixelStage,
    source: Dataset,
    rules: str = "",
    *,
    use: str = "basic",
    review: Review | None = None,
) -> tuple[pydicom.FileDataset, Treated]:
    """The output of ``source``, and what is said of it; nothing stays in the work directory."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    path = stored(folder, source)
    treatment = Treatment(program(folder, rules, use=use), KEY, pixels=stage)
    opening = OpeningRules(work=work, limits=Limits(), max_reencode_bytes=1 << 20)
    file = io.BytesIO()

    try:
        with (
            opening.open(path) as instance,
            treatment.treat(treatment.admit(instance), opening=opening, review=review) as treated,
        ):
            copy_to(treated.output.segments, file)
    finally:
        assert list(work.iterdir()) == []
    file.seek(0)
    return pydicom.dcmread(file), treated


def ultrasound() -> Dataset:
    return image(noise(40, 60, dtype="uint8", below=250), US, Modality="US")


def codes(dataset: Dataset) -> set[str]:
    return {str(item.CodeValue) for item in dataset.DeidentificationMethodCodeSequence}


def test_no_rule_treats_an_ultrasound_image(tmp_path: Path, stage: PixelStage) -> None:
    with pytest.raises(BurnedInTextSuspected, match="ultrasound"):
        treat(tmp_path, stage, ultrasound())


def test_what_is_not_suspect_goes_on_as_it_is(tmp_path: Path, stage: PixelStage) -> None:
    source = image(noise(40, 60), CT, Modality="CT")
    output, treated = treat(tmp_path, stage, source)
    assert output.PixelData == source.PixelData
    assert treated.areas is None
    assert "treat-pixels" not in treated.actions
    assert "BurnedInAnnotation" not in output


def test_a_rule_blackens(tmp_path: Path, stage: PixelStage) -> None:
    source = ultrasound()
    output, treated = treat(tmp_path, stage, source, "pixels:\n  - mask: [[0, 0, -, 10]]")
    expected = source.pixel_array.copy()
    expected[:10] = 0
    assert np.array_equal(output.pixel_array, expected)
    assert treated.areas == 1
    assert treated.actions["treat-pixels"] == 1
    assert output.BurnedInAnnotation == "NO"


def test_a_rule_vouches(tmp_path: Path, stage: PixelStage) -> None:
    source = ultrasound()
    output, treated = treat(tmp_path, stage, source, "pixels:\n  - pass: true\n    because: seen")
    assert output.PixelData == source.PixelData
    assert treated.areas is None


def test_a_person_releases(tmp_path: Path, stage: PixelStage) -> None:
    source = ultrasound()
    output, treated = treat(tmp_path, stage, source, review=RELEASE)
    assert output.PixelData == source.PixelData
    assert treated.areas is None
    assert output.BurnedInAnnotation == "NO"


def test_a_person_masks_and_rules_apply_as_well(tmp_path: Path, stage: PixelStage) -> None:
    source = ultrasound()
    output, treated = treat(
        tmp_path, stage, source, "pixels:\n  - mask: [[-10, 0, -, -]]\n  - hold: true\n    because: look", review=MASK
    )
    expected = source.pixel_array.copy()
    expected[3:8, 2:12] = 0
    expected[:, -10:] = 0
    assert np.array_equal(output.pixel_array, expected)
    assert treated.areas == 2


def test_a_box_outside_the_image_is_an_error(tmp_path: Path, stage: PixelStage) -> None:
    review = Review(decision="mask", boxes=(Rectangle(100, 3, 10, 5),), actor="dpo", because="a name")
    with pytest.raises(InstanceError, match="outside the image"):
        treat(tmp_path, stage, ultrasound(), review=review)


def test_a_face_is_released_by_a_person_only(tmp_path: Path, stage: PixelStage) -> None:
    """Clean Recognizable Visual Features (PS3.15 E.3.2): a release does not take the face away, and claims nothing."""
    use = "basic, clean-recognizable-visual-features"
    source = image(noise(40, 60), CT, Modality="CT", BodyPartExamined="HEAD")
    with pytest.raises(FeaturesSuspected):
        treat(tmp_path, stage, source, use=use)
    output, _ = treat(tmp_path, stage, source, use=use, review=RELEASE)
    assert "113102" not in codes(output)


def test_icons_that_a_profile_keeps_are_held(tmp_path: Path, stage: PixelStage) -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    icon.add_new(0x7FE00010, "OB", bytes(4))
    source = image(noise(40, 60), CT, Modality="CT", IconImageSequence=[icon])
    keep = "attributes:\n  - keep: [IconImageSequence]\n    because: it is pretty"
    output, _ = treat(tmp_path, stage, source)
    assert "IconImageSequence" not in output
    with pytest.raises(BurnedInTextSuspected, match=r"a picture in a sequence stays at \(0088,0200\)/\(7FE0,0010\)"):
        treat(tmp_path, stage, source, keep)
    for rules, review in (("\npixels:\n  - pass: true\n    because: seen", None), ("", RELEASE)):
        output, _ = treat(tmp_path, stage, source, keep + rules, review=review)
        assert "IconImageSequence" in output


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_documents_that_a_profile_keeps_are_held(tmp_path: Path, stage: PixelStage, size: int) -> None:
    """The basic profile writes an empty one in their place; a long one is not loaded with the output."""
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID, source.PatientID = PDF, "1.2.3.4", "MRN-4711"
    source.MIMETypeOfEncapsulatedDocument = "application/pdf"
    source.EncapsulatedDocument = b"%PDF-1.4" + bytes(size)
    output, _ = treat(tmp_path, stage, source)
    assert len(output.EncapsulatedDocument) < 2000
    keep = "attributes:\n  - keep: [EncapsulatedDocument]\n    because: read by somebody"
    with pytest.raises(BurnedInTextSuspected, match=r"document stays at \(0042,0011\)"):
        treat(tmp_path, stage, source, keep)
    output, _ = treat(tmp_path, stage, source, keep, review=RELEASE)
    assert output.EncapsulatedDocument == source.EncapsulatedDocument


def test_private_pictures_that_a_rule_keeps_are_held(tmp_path: Path, stage: PixelStage) -> None:
    source = image(noise(40, 60), CT, Modality="CT")
    source.private_block(0x0029, "ACME", create=True).add_new(0x10, "OB", b"\xff\xd8\xff\xe0" + bytes(40))
    keep = 'attributes:\n  - keep: ["(0029,xx10) ACME"]\n    because: a curve'
    treat(tmp_path, stage, source)
    with pytest.raises(BurnedInTextSuspected, match=r"private element stays that may be a picture at \(0029,1010\)"):
        treat(tmp_path, stage, source, keep)


def test_contradictory_pixel_data_is_held_though_nobody_touches_it(tmp_path: Path, stage: PixelStage) -> None:
    source = image(noise(40, 60), CT, Modality="CT")
    source.Rows = 4000
    with pytest.raises(InstanceError, match="pixel data"):
        treat(tmp_path, stage, source)


def test_a_failed_check_leaves_no_frames(tmp_path: Path, stage: PixelStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """``treat`` looks into the work directory, whatever happens."""

    def refuse(*_: object, **__: object) -> None:
        raise LeakSuspected(where="(7FE0,0010)", reason="a test")

    monkeypatch.setattr(pipeline_pixels, "check_pixels", refuse)
    with pytest.raises(LeakSuspected):
        treat(tmp_path, stage, ultrasound(), "pixels:\n  - mask: [[0, 0, -, 10]]")


def test_a_disk_that_refuses_frames_is_tried_again(
    tmp_path: Path, stage: PixelStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the disk does is no fault of the instance: it stays received."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline_pixels, "check_pixels", refuse)
    with pytest.raises(SpoolUnavailable, match="No space left"):
        treat(tmp_path, stage, ultrasound(), "pixels:\n  - mask: [[0, 0, -, 10]]")


def test_words_by_which_text_identifies(tmp_path: Path) -> None:
    source = image(noise(4, 4), CT, PatientBirthDate="19310427", StudyDate="20240229")
    with opened(stored(tmp_path, source)) as instance:
        words = identifying_words(instance)
    assert {"MRN-4711", "MOCKBURY^TESTARIO", "19310427", "20240229"} <= words


def test_decisions_of_the_ledger() -> None:
    assert review_of(None) is None
    record = ReviewRecord(instance_id=1, decision="mask", boxes=((2, 3, 10, 5),), actor="dpo", because="a name")
    assert review_of(record) == MASK
