"""gateway.dicom.storage_classes against the dictionaries of pydicom and pynetdicom."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary
from pynetdicom.presentation import AllStoragePresentationContexts

from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES

ROOT = Path(__file__).parents[3]


def test_pynetdicom_classes_are_all_there() -> None:
    assert {str(context.abstract_syntax) for context in AllStoragePresentationContexts} <= set(STORAGE_SOP_CLASSES)


def test_pydicom_classes_are_all_there() -> None:
    others = {
        "1.2.840.10008.1.3.10",  # written to media, not sent
        "1.2.840.10008.1.20.1",  # Storage Commitment stores nothing
        "1.2.840.10008.1.20.2",
    }
    storage = {uid for uid, (name, kind, *_) in UID_dictionary.items() if kind == "SOP Class" and "Storage" in name}
    assert storage - set(STORAGE_SOP_CLASSES) == others


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "CT Image Storage"),
        ("1.2.840.10008.5.1.4.1.1.6", "Ultrasound Image Storage"),  # retired
        ("1.2.840.10008.5.1.4.1.1.66.7", "Label Map Segmentation Storage"),  # newer than pydicom's dictionary
        ("1.2.840.10008.5.1.4.1.1.9.100.1", "Waveform Presentation State Storage"),
        ("1.2.840.10008.5.1.4.38.1", "Hanging Protocol Storage"),  # PS3.4 I.4 Non-Patient Object Storage
        ("1.2.840.10008.5.1.4.1.1.104.5", "Encapsulated MTL Storage"),
    ],
)
def test_names(uid: str, name: str) -> None:
    assert STORAGE_SOP_CLASSES[uid] == name


def test_no_query_class_is_taken_for_storage() -> None:
    wrong = [uid for uid, name in STORAGE_SOP_CLASSES.items() if any(word in name for word in ("FIND", "MOVE", "GET"))]
    assert wrong == []


def test_the_table_is_what_the_generator_writes(tmp_path: Path) -> None:
    written = tmp_path / "storage-classes.csv"
    subprocess.run([sys.executable, ROOT / "scripts" / "generate-storage-classes", written], check=True, cwd=ROOT)
    shipped = (files("gateway.dicom") / "data" / "storage-classes.csv").read_bytes()
    assert written.read_bytes() == shipped
