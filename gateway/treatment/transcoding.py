"""Outputs in the transfer syntax that a destination wants, made when they are sent and gone when they have been.

What the spool keeps stays as it is: another destination may want another syntax, and what is sent twice is made twice,
with the same bytes.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from gateway.deliver.base import Parcel
from gateway.dicom.encoded import Limits
from gateway.dicom.segments import FileRange
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.transcode import TranscodingWord, transcode
from gateway.settings.configuration import Settings
from gateway.spool.disk import disk_errors


class Transcoder:
    """Transcodes the parcels of one connection to one destination.

    Parameters
    ----------
    settings
        limits of data sets and of codecs
    word
        what the destination wants
    work
        the spool's directory for files that live as long as one task
    """

    def __init__(self, settings: Settings, word: TranscodingWord, work: Path) -> None:
        self._limits = Limits(depth=settings.limits.depth, elements=settings.limits.elements)
        self._sandbox = Sandbox(settings.pixels)
        self._word: TranscodingWord = word
        self._work = work
        self._folders: list[Path] = []

    def transcoded(self, parcel: Parcel) -> Parcel:
        """The parcel as the destination wants it; its file lives until ``clear``.

        Raises
        ------
        InstanceError
            it cannot be transcoded
        SpoolFull, SpoolUnavailable
            the disk
        DecoderUnavailable
            the codecs cannot be started
        """
        with disk_errors("create", "a work directory", root=self._work, reserve=0):
            folder = Path(tempfile.mkdtemp(prefix="transcode-", dir=self._work))
        self._folders.append(folder)
        file = folder / "instance.dcm"
        syntax = transcode(parcel.parts, file, word=self._word, limits=self._limits, sandbox=self._sandbox)
        if syntax is None:
            return parcel
        length = file.stat().st_size
        return replace(parcel, transfer_syntax=syntax, length=length, parts=(FileRange(file, 0, length),))

    def clear(self) -> None:
        """Remove the files of every parcel transcoded so far."""
        while self._folders:
            shutil.rmtree(self._folders.pop(), ignore_errors=True)

    def close(self) -> None:
        """Remove what is there and end the decoder process."""
        self.clear()
        self._sandbox.close()
