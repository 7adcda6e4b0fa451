"""The record in the preamble of a spool file."""

import zlib

import pytest

from gateway.dicom.file_meta import FileMeta, write_file_meta
from gateway.errors import SpoolCorrupt
from gateway.spool.record import SpoolRecord, is_blank

META = FileMeta("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", "2.25.17", "SENDER", "GATEWAY")
OFFSET = len(write_file_meta(META))


def record(**changes: object) -> SpoolRecord:
    fields: dict[str, object] = {
        "name": "2026-01-01/x", "offset": OFFSET, "length": 12, "crc32": 0xDEADBEEF,
        "received_at_ns": 1_800_000_000_123_456_789, "peer_address": "192.0.2.7", "source": "ward-3", "meta": META,
    }  # fmt: skip
    return SpoolRecord(**(fields | changes))  # type: ignore[arg-type]


def head(one: SpoolRecord) -> bytes:
    return write_file_meta(META, preamble=encoded(one)) + bytes(min(one.length, 99))


def encoded(one: SpoolRecord) -> bytes:
    return one.encode(write_file_meta(META)[128:])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"peer_address": "2001:db8::17"},  # IPv6
        {"peer_address": ""},  # received other than by network
        {"source": ""},  # no source
        {"source": "ä" * 32},  # 64 bytes of UTF-8
        {"length": 1 << 40},  # larger than 32 bits
        {"length": 0},
        {"crc32": 0},
    ],
)
def test_a_record_is_read_as_it_was_written(changes: dict[str, object]) -> None:
    one = record(**changes)
    assert len(encoded(one)) == 128
    assert SpoolRecord.decode(one.name, head(one)) == one


def test_a_scope_id_is_dropped() -> None:
    assert SpoolRecord.decode("n", head(record(peer_address="fe80::1%eth0"))).peer_address == "fe80::1"


@pytest.mark.parametrize("changes", [{"source": "x" * 65}, {"peer_address": "host.example"}])
def test_what_does_not_fit_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"source name|IPv4 or IPv6"):
        encoded(record(**changes))


def test_every_flipped_byte_is_found() -> None:
    good = head(record())
    for at in range(OFFSET):
        bad = bytearray(good)
        bad[at] ^= 0x40
        with pytest.raises(SpoolCorrupt, match="its record is damaged"):
            SpoolRecord.decode("n", bytes(bad))


@pytest.mark.parametrize(
    ("file_meta", "reason"),
    [
        (b"DICM" + b"\xff" * 40, "file meta information is damaged"),
        (b"none", "not-dicom"),
        (write_file_meta(META)[128:] + b"\x08\0\x05\0CS\0\0", "file meta information is damaged"),  # it ends earlier
    ],
)
def test_file_meta_that_cannot_be_read_is_found(file_meta: bytes, reason: str) -> None:
    one = record(offset=128 + len(file_meta))
    with pytest.raises(SpoolCorrupt, match=reason):
        SpoolRecord.decode("n", one.encode(file_meta) + file_meta)


def test_a_later_version_is_named() -> None:
    preamble = bytearray(encoded(record()))
    preamble[4] = 9
    preamble[124:] = zlib.crc32(bytes(preamble[:124]) + write_file_meta(META)[128:]).to_bytes(4, "little")
    with pytest.raises(SpoolCorrupt, match="version 9"):
        SpoolRecord.decode("n", write_file_meta(META, preamble=bytes(preamble)))


@pytest.mark.parametrize(
    ("preamble", "blank"), [(b"", True), (bytes(127), True), (bytes(200), True), (b"\1" * 128, False)]
)
def test_a_file_without_record_is_blank(preamble: bytes, blank: bool) -> None:
    assert is_blank(preamble) is blank
