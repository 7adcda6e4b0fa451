"""Labels, file names and the zip of a delivery to XNAT."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.deliver.xnat.file_names import Holdings, file_name, instance_hash
from gateway.deliver.xnat.labels import LabelTemplates, xnat_label
from gateway.deliver.xnat.zip_body import zip_body
from gateway.dicom.segments import copy_to
from gateway.errors import SpoolCorrupt, SpoolUnavailable
from tests.fixtures.xnat.store import fold
from tests.unit.deliver.peers import CT, content_of, make_parcel


@pytest.mark.parametrize(
    "text",
    [
        "BIMCV-ABCDEFGHIJ",
        "a_b-1",
        "x" * 64,  # the longest
    ],
)
def test_a_label_that_xnat_leaves_alone_stays(text: str) -> None:
    assert xnat_label(text) == text


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_labels_stay_as_they_are_in_xnat_and_stay_apart(one: str, other: str) -> None:
    labels = [xnat_label(one), xnat_label(other)]
    assert all(fold(label) == label and 0 < len(label) <= 64 for label in labels)
    assert (labels[0] == labels[1]) == (one == other)


def test_labels_that_xnat_would_fold_into_one_stay_apart() -> None:
    labels = {xnat_label(text) for text in ("a.b", "a_b", "a b", "a^b", "ä_b")}
    assert len(labels) == 5


def test_two_studies_of_a_patient_have_two_sessions() -> None:
    templates = LabelTemplates()
    one, other = (templates.of(patient_id="P-1", study_uid=uid) for uid in ("2.25.1", "2.25.2"))
    assert one.subject == other.subject == "P-1"
    assert one.session != other.session
    assert one.session.startswith("P-1-")
    assert one == templates.of(patient_id="P-1", study_uid="2.25.1")


def test_a_patient_id_with_a_placeholder_in_it_is_text() -> None:
    labels = LabelTemplates().of(patient_id="{study}", study_uid="2.25.1")
    assert labels.subject == xnat_label("{study}")


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        # Worked out by hand from Java's definition: ((31 * 1 + h("a")) * 31 + h("b")), h of one character is its code.
        (("a", "b"), (31 * (31 + 97) + 98)),
        # h("ab") = 31 * 97 + 98
        (("ab", ""), ((31 + 31 * 97 + 98) * 31)),
    ],
)
def test_the_hash_of_a_java_list(classes: tuple[str, str], expected: int) -> None:
    assert int(instance_hash(*classes), 36) == expected


def test_the_hash_wraps_at_32_bits() -> None:
    assert int(instance_hash(CT, "1.2.826.0.1.3680043.8.498.1"), 36) < 1 << 32


def test_which_instances_files_hold(tmp_path: Path) -> None:
    parcel, other = make_parcel(tmp_path, 1), make_parcel(tmp_path, 2)
    named = f"{parcel.study_uid}-4-17-{instance_hash(CT, other.sop_uid)}.dcm"
    holdings = Holdings()
    assert not holdings.hold(parcel)
    holdings.add({file_name(parcel.sop_uid): 0})
    assert not holdings.hold(parcel)  # an empty file is no instance
    holdings.add({file_name(parcel.sop_uid): 9, named: 9, "catalog.xml": 9})
    assert holdings.hold(parcel)
    assert holdings.hold(other)  # under the name that XNAT gives
    assert not holdings.hold(replace(other, study_uid="2.25.7"))
    assert not holdings.hold(make_parcel(tmp_path, 3))


def test_every_byte_is_in_the_zip(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number, pieces=3) for number in range(4)]
    body = zip_body(parcels)
    written = io.BytesIO()
    assert copy_to(body.segments, written) == body.length == len(written.getvalue())
    assert len(body.owners) == len(body.segments)
    with zipfile.ZipFile(written) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{parcel.sop_uid}.dcm" for parcel in parcels]
        assert [archive.read(name) for name in archive.namelist()] == [content_of(parcel) for parcel in parcels]
        assert {entry.date_time[:3] for entry in archive.infolist()} == {(1980, 1, 1)}


def test_the_zip_can_be_read_as_a_stream(tmp_path: Path) -> None:
    """Java's ZipInputStream reads local headers alone, and takes no stored entry whose size comes after it."""
    parcels = [make_parcel(tmp_path, number) for number in range(3)]
    written = io.BytesIO()
    copy_to(zip_body(parcels).segments, written)
    written.seek(0)
    for parcel in parcels:
        magic, _, flags, method, _, _, crc32, size, stored, names, extra = struct.unpack("<4s5H3I2H", written.read(30))
        assert (magic, flags, method, size, stored, extra) == (b"PK\3\4", 0, 0, parcel.length, parcel.length, 0)
        assert written.read(names).decode() == file_name(parcel.sop_uid)
        assert zlib.crc32(written.read(size)) == crc32
    assert written.read(4) == b"PK\1\2"


def test_large_instances_and_offsets_in_zip64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As beyond 4 GiB, from 1000 bytes on: the values stand in the zip64 records, and readers find them there."""
    monkeypatch.setattr("gateway.deliver.xnat.zip_body._LARGE", 1000)
    parcels = [make_parcel(tmp_path, number, content=bytes([number]) * size) for number, size in enumerate((1500, 10))]
    written = io.BytesIO()
    body = zip_body(parcels)
    assert copy_to(body.segments, written) == body.length
    raw = written.getvalue()
    assert raw[18:26] == raw[-10:-2] == b"\xff" * 8  # sizes of the first local header; size and place of the directory
    with zipfile.ZipFile(written) as archive:
        first, second = archive.infolist()
        assert first.file_size == 1500
        assert second.header_offset > 1500
        assert [archive.read(one) for one in (first, second)] == [content_of(parcel) for parcel in parcels]


def test_stored_bytes_that_are_not_to_be_had(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number) for number in range(3)]
    parcels[1].parts[0].path.unlink()
    with pytest.raises(SpoolUnavailable) as unavailable:
        zip_body(parcels)
    assert unavailable.value.facts["parcel"] == 1
    parcels[2].parts[0].path.write_bytes(b"short")
    with pytest.raises(SpoolCorrupt) as corrupt:
        zip_body([parcels[0], parcels[2]])
    assert corrupt.value.facts["parcel"] == 1
