"""The gateway's record of a received instance, kept in the preamble of its spool file (PS3.10 7.1).

A spool file is a valid DICOM file: the 128 bytes of preamble are free for the application's use. They are zero while
the file is being written and hold the record afterwards, so a file with a record was received whole, and the ledger's
row can be made again from the file alone.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final

from gateway import checksum
from gateway.dicom.file_meta import FileMeta, read_file_meta
from gateway.errors import InstanceError, SpoolCorrupt

PREAMBLE_LENGTH: Final = 128
SOURCE_BYTES: Final = 64

_MAGIC: Final = b"DGsp"
_VERSION: Final = 1
# magic, version, IP version, (2 spare), data set offset, length, CRC-32, received at, address, source length, source,
# association, which is 0 in records of before there was one
_FIELDS: Final = Struct("<4sBBxxIQIQ16sB64sQ")
_CHECKED: Final = PREAMBLE_LENGTH - 4
_BLANK: Final = bytes(PREAMBLE_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolRecord:
    """What is known of a received instance.

    Attributes
    ----------
    name
        name in the spool
    offset
        byte of the file at which the data set begins
    length
        bytes of the data set
    crc32
        CRC-32 of the data set
    received_at_ns
        when it was committed, nanoseconds since 1970, UTC
    peer_address
        IP address of the sender, or ""
    source
        name of the source in the configuration, at most 64 bytes of UTF-8
    meta
        file meta information: transfer syntax, SOP class and instance, calling and called AE title
    association
        number of the association that brought it; 0 if that is not known
    """

    name: str
    offset: int
    length: int
    crc32: int
    received_at_ns: int
    peer_address: str
    source: str
    meta: FileMeta
    association: int = 0

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.offset + self.length

    def encode(self, file_meta: bytes) -> bytes:
        """The preamble, 128 bytes.

        Parameters
        ----------
        file_meta
            what lies between preamble and data set; it is guarded by the record's own checksum

        Raises
        ------
        ValueError
            the source name is longer than 64 bytes, or the address is not an IP address
        """
        source = self.source.encode()
        if len(source) > SOURCE_BYTES:
            message = f"a source name has at most {SOURCE_BYTES} bytes"
            raise ValueError(message)
        version, address = _pack_address(self.peer_address)
        fields = _FIELDS.pack(
            _MAGIC, _VERSION, version, self.offset, self.length, self.crc32, self.received_at_ns, address,
            len(source), source, self.association,
        ).ljust(_CHECKED, b"\0")  # fmt: skip
        return fields + checksum.crc32(file_meta, checksum.crc32(fields)).to_bytes(4, "little")

    @classmethod
    def decode(cls, name: str, head: bytes) -> SpoolRecord:
        """The record of the spool file ``name`` that begins with ``head``, which reaches into the data set.

        Raises
        ------
        SpoolCorrupt
            there is none, it is damaged, or a later version wrote it
        """
        if is_blank(head):
            raise SpoolCorrupt(name=name, reason="it was never completed")
        fields = head[:_CHECKED]
        (magic, version, ip_version, offset, length, crc32, received_at_ns, address, size, source,
         association) = _FIELDS.unpack_from(fields)  # fmt: skip
        check = checksum.crc32(head[PREAMBLE_LENGTH:offset], checksum.crc32(fields))
        if check != int.from_bytes(head[_CHECKED:PREAMBLE_LENGTH], "little"):
            raise SpoolCorrupt(name=name, reason="its record is damaged")
        if magic != _MAGIC or version != _VERSION:
            raise SpoolCorrupt(name=name, reason=f"its record has version {version}, this gateway reads {_VERSION}")
        try:
            meta, end = read_file_meta(head[:offset])
        except InstanceError as error:
            raise SpoolCorrupt(name=name, reason=f"its file meta information is damaged ({error.code})") from error
        if end != offset:
            raise SpoolCorrupt(name=name, reason="its file meta information is damaged")
        return cls(
            name=name, offset=offset, length=length, crc32=crc32, received_at_ns=received_at_ns,
            peer_address=_unpack_address(ip_version, address), source=source[:size].decode(), meta=meta,
            association=association,
        )  # fmt: skip


def is_blank(preamble: bytes) -> bool:
    """Whether the file was not committed: its preamble is zero, or not even whole."""
    return len(preamble) < PREAMBLE_LENGTH or preamble[:PREAMBLE_LENGTH] == _BLANK


@lru_cache(maxsize=1024)
def _pack_address(text: str) -> tuple[int, bytes]:
    if not text:
        return 0, b""
    address = ipaddress.ip_address(text.partition("%")[0])
    return address.version, address.packed


def _unpack_address(version: int, packed: bytes) -> str:
    if not version:
        return ""
    return str(ipaddress.ip_address(packed[:4] if version == 4 else packed))
