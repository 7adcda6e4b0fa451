"""Received files read whole: the same content has the same digest, and damage is found (promise P6)."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest
from blake3 import blake3

from gateway.dicom.file_meta import FileMeta, write_file_meta
from gateway.errors import NotDicom, SpoolCorrupt
from gateway.treatment.content import ContentReader

META = FileMeta("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.45", "SENDER", "GATEWAY")
#: What is read at a time, and lengths around it.
PIECE = 1 << 17
LENGTHS = (3 * PIECE + 5, 10, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 5_000)


def stored(path: Path, data: bytes, *, meta: FileMeta = META, preamble: bytes = bytes(128)) -> Path:
    path.write_bytes(write_file_meta(meta, preamble=preamble) + data)
    return path


def data_set(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


def test_digest_is_of_the_data_set_alone(tmp_path: Path) -> None:
    # One reader for all: what is left of a longer file must not get into the next one.
    reader = ContentReader()
    for length in LENGTHS:
        data = data_set(length)
        path = stored(tmp_path / f"{length}.dcm", data)
        assert reader.digest(path, name="one", crc32=crc32(data)) == blake3(data).hexdigest()


def test_transmission_makes_no_difference(tmp_path: Path) -> None:
    data, reader = data_set(5_000), ContentReader()
    other = FileMeta(META.transfer_syntax, META.sop_class_uid, META.sop_instance_uid, "ANOTHER PEER")
    paths = (
        stored(tmp_path / "first.dcm", data),
        stored(tmp_path / "again.dcm", data, meta=other, preamble=b"\1" * 128),
    )
    assert len({reader.digest(path, name="one", crc32=crc32(data)) for path in paths}) == 1


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("change", ["first byte", "last byte", "cut", "grown"])
def test_damage_is_found(tmp_path: Path, length: int, change: str) -> None:
    data = data_set(length)
    damaged = {
        "first byte": bytes((data[0] ^ 1,)) + data[1:],
        "last byte": data[:-1] + bytes((data[-1] ^ 1,)),
        "cut": data[:-1],
        "grown": data + b"\0",
    }[change]
    path = stored(tmp_path / "one.dcm", damaged)
    with pytest.raises(SpoolCorrupt, match="2026/one"):
        ContentReader().digest(path, name="2026/one", crc32=crc32(data))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ContentReader().digest(tmp_path / "absent.dcm", name="one", crc32=0)
    (tmp_path / "empty.dcm").touch()
    with pytest.raises(NotDicom):
        ContentReader().digest(tmp_path / "empty.dcm", name="one", crc32=0)
