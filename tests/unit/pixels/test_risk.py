"""Caution: which kinds of instances may hold burned-in text, or show a face."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MPEG2MPML, JPEGBaseline8Bit

from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.pixels.description import describe
from gateway.pixels.risk import features_risk_of, risk_of
from tests.unit.deid.profiles import opened, stored

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
US = "1.2.840.10008.5.1.4.1.1.6.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
SR = "1.2.840.10008.5.1.4.1.1.88.33"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
RT_IMAGE = "1.2.840.10008.5.1.4.1.1.481.1"
RT_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
INTRAVASCULAR = "1.2.840.10008.5.1.4.1.1.14.1"
EYE_SLICES = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
PRIVATE = "1.2.826.0.1.3680043.8.498.1.1"


def image(sop_class: str, *, pixels: bool = True, **values: Any) -> Dataset:
    """An instance of 4 x 4 pixels of 12 bits."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, "1.2.3.4"
    if pixels:
        dataset.Rows = dataset.Columns = 4
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
        dataset.add_new(0x7FE00010, "OW", bytes(32))
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def overlay(**values: Any) -> Dataset:
    """An image with a plane of overlay."""
    dataset = image(CT)
    for offset, vr, value in (
        (0x10, "US", 4), (0x11, "US", 4), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
        (0x100, "US", values.get("bits", 16)), (0x102, "US", values.get("position", 12)),
    ):  # fmt: skip
        dataset.add_new(0x60000000 | offset, vr, value)
    if "data" in values:
        dataset.add_new(0x60003000, "OW", values["data"])
    return dataset


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [
        # ultrasound, by SOP class and by modality
        (image(US), "ultrasound"),
        (image(CT, Modality="US"), "ultrasound"),
        # NO is not believed
        (image(US, BurnedInAnnotation="NO"), "ultrasound"),
        (image(SC), "secondary-capture"),
        (image(PHOTOGRAPH), "photograph"),
        (image(DX, Modality="OT"), "other-modality"),
        (image(MR, Modality="ES"), "endoscopy"),
        (image(MR, Modality="GM"), "microscopy"),
        # what nobody knows
        (image(PRIVATE, Modality="MR"), "unknown-kind"),
        # what says so
        (image(CT, BurnedInAnnotation="YES"), "declared"),
        # secondary images and captures by Image Type
        (image(CT, ImageType=["DERIVED", "SECONDARY", "AXIAL"]), "secondary-image"),
        (image(CT, ImageType=["ORIGINAL", "PRIMARY", "SCREEN SAVE"]), "screen-capture"),
        # the word stands for nothing elsewhere than in the second value
        (image(CT, ImageType=["ORIGINAL", "PRIMARY", "SECONDARY"]), None),
        # how it was made
        (image(DX, ConversionType="DF"), "digitised-film"),
        (image(DX, ConversionType="SD"), "scanned-document"),
        (image(DX, ConversionType="SI"), "scanned-image"),
        (image(DX, ConversionType="DRW"), "drawing"),
        (image(RT_IMAGE, ConversionType="WSD"), "made-at-a-workstation"),
        (image(DX, ConversionType="DI"), "secondary-capture-by-digital-interface"),
        (image(DX, ConversionType="SYN"), "synthetic-image"),
        # what a scanner writes that cuts with light
        (image(INTRAVASCULAR, Modality="IVOCT"), None),
        (image(EYE_SLICES, Modality="OPT"), None),
        # words that make a whole look, and no risk
        (image(CT, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), None),
        (image(DX, SecondaryCaptureDeviceManufacturer="ACME"), "secondary-capture"),
        (image(DX, DateOfSecondaryCapture="20240101"), "secondary-capture"),
        (image(DX, HardcopyDeviceManufacturer="ACME"), "film"),
        # overlays in the bits that no sample uses; ones with data of their own are no pixels
        (overlay(), "overlay-in-pixels"),
        (overlay(bits=1, position=0, data=bytes(2)), None),
        # what comes from a detector
        (image(CT, Modality="CT", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]), None),
        (image(MR, Modality="MR"), None),
        (image(DX, Modality="DX", BurnedInAnnotation="NO"), None),
        # without pixels nothing is burned in
        (image(US, pixels=False, BurnedInAnnotation="YES"), None),
        (image(SR, pixels=False, Modality="SR"), None),
    ],
)
def test_burned_in_text(tmp_path: Path, dataset: Dataset, kind: str | None) -> None:
    with opened(stored(tmp_path, dataset)) as instance:
        risk = risk_of(instance, describe(instance))
    assert (None if risk is None else risk.kind) == kind
    assert risk is None or risk.reason


@pytest.mark.parametrize(("syntax", "kind"), [(MPEG2MPML, "video"), (JPEGBaseline8Bit, None)])
def test_video(tmp_path: Path, syntax: str, kind: str | None) -> None:
    dataset = image(CT, BitsAllocated=8, BitsStored=8, HighBit=7)
    path = stored(tmp_path, image(CT))
    with opened(path) as instance:
        description = describe(instance)
    dataset["PixelData"].VR = "OB"
    dataset.PixelData = bytes.fromhex("FEFF00E000000000FEFF00E00200000000FF")
    dataset["PixelData"].is_undefined_length = True
    with opened(stored(tmp_path, dataset, syntax=syntax)) as instance:
        risk = risk_of(instance, description)
    assert (None if risk is None else risk.kind) == kind


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [
        # heads, and what may be one
        (image(CT, BodyPartExamined="HEAD"), "volume"),
        (image(MR, BodyPartExamined="BRAIN"), "volume"),
        (image(CT), "volume"),
        (image(CT, BodyPartExamined="WHOLEBODY"), "volume"),
        (image(CT, BodyPartExamined="CHEST"), None),
        (image(MR, BodyPartExamined="T SPINE"), None),
        # contours of the skin draw a face too
        (image(RT_STRUCTURES, pixels=False, BodyPartExamined="HEADNECK"), "volume"),
        # photographs
        (image(PHOTOGRAPH), "photograph"),
        (image(DX, Modality="XC"), "photograph"),
        (image(SC), "photograph"),
        (image(PDF, pixels=False), "photograph"),
        # YES is believed, NO is not
        (image(DX, RecognizableVisualFeatures="YES"), "declared"),
        (image(CT, BodyPartExamined="HEAD", RecognizableVisualFeatures="NO"), "volume"),
        (image(PRIVATE), "unknown-kind"),
        (image(PRIVATE, pixels=False), None),
        # projections and reports render no face
        (image(DX, BodyPartExamined="SKULL"), None),
        (image(SR, pixels=False), None),
        (image(US), None),
    ],
)
def test_faces(tmp_path: Path, dataset: Dataset, kind: str | None) -> None:
    with opened(stored(tmp_path, dataset)) as instance:
        risk = features_risk_of(instance)
    assert (None if risk is None else risk.kind) == kind


def test_table_is_well_formed() -> None:
    """Every SOP class is one of the standard, no row is there twice, and those named without text are radiological."""
    rows = list(csv.DictReader((files("gateway.pixels") / "data" / "caution.csv").read_text("utf-8").splitlines()))
    keys = [(row["what"], row["value"]) for row in rows]
    assert len(keys) == len(set(keys))
    assert {row["text"] for row in rows} == {"Y", "N"}
    assert {row["face"] for row in rows} == {"N", "face", "volume"}
    assert {row["look"] for row in rows if row["what"] != "body-part"} == {"whole", "sample", "none"}
    assert all(row["modality"] for row in rows if row["what"] == "sop-class")
    classes = {row["value"]: row for row in rows if row["what"] == "sop-class"}
    assert set(classes) <= set(STORAGE_SOP_CLASSES)
    for uid, row in classes.items():
        if row["text"] == "N":
            assert row["because"] == STORAGE_SOP_CLASSES[uid]
