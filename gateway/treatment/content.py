"""Reading received files whole: whether they are still what was received, and by what their content is known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from blake3 import blake3

from gateway import checksum
from gateway.dicom.file_meta import read_file_meta
from gateway.errors import SpoolCorrupt

__all__ = ["ContentReader"]

#: More than preamble and file meta information take.
_HEAD: Final = 4096
#: Bytes read at a time. What the second checksum passes over is then still in the processor's second cache, and each
#: piece but the last is a whole subtree of BLAKE3, which takes a sixth more time for pieces that are not.
_CHUNK: Final = 1 << 17


class ContentReader:
    """Reads the data sets of spool files, one after the other."""

    def __init__(self) -> None:
        # Made once: to clear it takes as long as to hash a fifth of it.
        self._buffer = memoryview(bytearray(_CHUNK))

    def digest(self, path: Path, *, name: str, crc32: int) -> str:
        """BLAKE3 digest of the data set in a spool file, without the preamble and the file meta information.

        Those tell of the transmission, which differs when the same instance is sent again.

        Parameters
        ----------
        path, name
            the file, and how errors name it
        crc32
            CRC-32 of the data set as it was received

        Raises
        ------
        SpoolCorrupt
            the data set is not what was received
        InstanceError
            there is no file meta information that can be read
        OSError
            the file cannot be read
        """
        digest, crc = blake3(), 0
        buffer = self._buffer
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            count = os.preadv(file, [buffer[:_HEAD]], 0)
            place = read_file_meta(buffer[:count])[1]
            while count := os.preadv(file, [buffer], place):
                chunk = buffer[:count]
                crc = checksum.crc32(chunk, crc)
                digest.update(chunk)
                place += count
        finally:
            os.close(file)
        if crc != crc32:
            raise SpoolCorrupt(name=name, reason="its checksum is wrong")
        return digest.hexdigest()
