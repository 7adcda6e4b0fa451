"""Whether a file that XNAT lists is the instance that was sent.

XNAT lists the MD5 of a file of the archive, unless the site keeps no checksums, and its size. An equal digest is proof.
An unequal one may mean that the file is not what was sent (the connection broke off, somebody else's file of that
name), or that XNAT has written it anew: it does so with the file meta information, and where a script of the site or of
the project changes elements. Which of the two it is tell the other instances of the same series: where XNAT left one of
them as it was sent, it leaves all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from gateway.deliver.base import Parcel
from gateway.deliver.xnat.file_names import Holdings, ListedFile

#: What is compared: the content as far as XNAT can be held to it; the digest always; the name alone.
Compare: TypeAlias = Literal["detect", "digest", "name"]
#: Instances that XNAT treats alike: of one series, SOP class and transfer syntax.
_Kind: TypeAlias = "tuple[str, str, str]"
#: Bytes by which scripts make a file shorter at most: elements before the pixel data.
_HEADER: Final = 65_536
_CHUNK: Final = 1 << 20


class Proof:
    """Which parcels a set of files holds as they were sent.

    Parameters
    ----------
    holdings
        the files
    parcels
        those that are asked for
    compare
        what is compared
    """

    def __init__(self, holdings: Holdings, parcels: Sequence[Parcel], *, compare: Compare) -> None:
        self._holdings = holdings
        self._compare = compare
        self._same: set[int] = set()
        self._unlike: set[int] = set()
        digests = holdings.digests if compare != "name" else {}
        pairs = [(parcel, file) for parcel in parcels if (file := holdings.file_of(parcel)) is not None]
        unnamed = [parcel for parcel in parcels if digests and holdings.file_of(parcel) is None and len(holdings)]
        if compare == "name":
            return
        kept, sized = set[_Kind](), set[_Kind]()
        for parcel, file in pairs:
            if file.size != parcel.length:
                continue
            sized.add(_kind(parcel))
            if file.digest and file.digest == _md5(parcel):
                self._same.add(parcel.delivery_id)
                kept.add(_kind(parcel))
        for parcel, file in pairs:
            if parcel.delivery_id not in self._same and self._is_unlike(parcel, file, digests, kept, sized):
                self._unlike.add(parcel.delivery_id)
        # A name that tells nothing: the content does.
        self._same.update(parcel.delivery_id for parcel in unnamed if _md5(parcel) in digests)

    def holds(self, parcel: Parcel) -> bool:
        """Whether the instance is there, as far as can be told as it was sent."""
        if self.is_same(parcel):
            return True
        return self._holdings.hold(parcel) and parcel.delivery_id not in self._unlike

    def is_same(self, parcel: Parcel) -> bool:
        """Whether the digest proves that the instance is there as it was sent."""
        return parcel.delivery_id in self._same

    def is_unlike(self, parcel: Parcel) -> bool:
        """Whether there is a file of its name that is something else."""
        return parcel.delivery_id in self._unlike

    def _is_unlike(
        self,
        parcel: Parcel,
        file: ListedFile,
        digests: dict[str, int],
        kept: set[_Kind],
        sized: set[_Kind],
    ) -> bool:
        if self._compare == "digest":
            return bool(file.digest) or file.size != parcel.length
        # Two files of one digest are one file under two names.
        if digests.get(file.digest, 0) > 1 or (file.digest and _kind(parcel) in kept):
            return True
        if _kind(parcel) in sized and file.size < parcel.length:
            return True
        return file.size < max(parcel.parts[-1].length if len(parcel.parts) > 1 else 0, _shortest(parcel.length))


def _shortest(length: int) -> int:
    """Bytes that a file of this length has at least, whatever scripts have taken from its header."""
    return max(length - _HEADER, length // 2 + 1)


def _kind(parcel: Parcel) -> _Kind:
    return parcel.series_uid, parcel.sop_class_uid, parcel.transfer_syntax


def _md5(parcel: Parcel) -> str:
    """MD5 of the instance as it is sent; empty if its stored bytes are not to be had."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        for part in parcel.parts:
            with part.path.open("rb", buffering=0) as file:
                file.seek(part.offset)
                left = part.length
                while left and (chunk := file.read(min(left, _CHUNK))):
                    digest.update(chunk)
                    left -= len(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
