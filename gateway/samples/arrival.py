"""Where samples are expected to arrive: a folder or a DICOMweb server, read until everything is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final, Protocol

import requests
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from gateway.samples.modules import marker

__all__ = ["Archive", "Arrived", "DicomWebArchive", "FolderArchive"]

_MANUFACTURER: Final = "00080070"
_PAGE: Final = 100
_TIMEOUT: Final = (10.0, 120.0)
_PART: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True, slots=True)
class Arrived:
    """A sample as the archive holds it: the whole file and its data set."""

    content: bytes
    dataset: Dataset

    @property
    def number(self) -> int:
        """Its Instance Number; 0 if it has none."""
        return int(self.dataset.get("InstanceNumber") or 0)


class Archive(Protocol):
    """A destination that can be read."""

    def arrivals(self, run_id: str) -> Iterator[Arrived]:
        """The samples of a run that were not there at the call before.

        Raises
        ------
        OSError
            the archive cannot be read; requests' exceptions are such.
        """


class FolderArchive:
    """A folder with files at any depth; what a name with a leading dot holds is still being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrived: set[Path] = set()
        #: Files that are no samples, with their size and time: one that grows is looked at again.
        self._others: dict[Path, tuple[int, int]] = {}

    def arrivals(self, run_id: str) -> Iterator[Arrived]:
        """See :meth:`Archive.arrivals`."""
        for path in sorted(self._path.rglob("*")):
            if path in self._arrived or any(name.startswith(".") for name in path.relative_to(self._path).parts):
                continue
            try:
                arrived = self._read(path, run_id)
            except FileNotFoundError:
                continue
            if arrived is not None:
                self._arrived.add(path)
                yield arrived

    def _read(self, path: Path, run_id: str) -> Arrived | None:
        status = path.stat()
        signature = (status.st_size, status.st_mtime_ns)
        if not S_ISREG(status.st_mode) or self._others.get(path) == signature:
            return None
        arrived = _recognised(path.read_bytes(), run_id) if _is_sample(path, run_id) else None
        if arrived is None:
            self._others[path] = signature
        return arrived


class DicomWebArchive:
    """A DICOMweb server, searched by QIDO-RS and read by WADO-RS (PS3.18 10.6, 10.4).

    Parameters
    ----------
    url
        the base of its services; it may carry user name and password.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = requests.Session()
        self._seen: set[str] = set()
        self._foreign: set[str] = set()

    def arrivals(self, run_id: str) -> Iterator[Arrived]:
        """See :meth:`Archive.arrivals`."""
        marked = marker(run_id)
        # Without a condition: some servers take a plus of the query for a space, however it is encoded.
        for series in self._search("/series", {"includefield": _MANUFACTURER}):
            study_uid, series_uid = _first(series, "0020000D"), _first(series, "0020000E")
            place = f"/studies/{study_uid}/series/{series_uid}"
            # A server may ignore the condition, or not know Manufacturer for the series.
            if place in self._foreign or _first(series, _MANUFACTURER) not in ("", marked):
                continue
            for instance in self._search(f"{place}/instances", {}):
                sop_uid = _first(instance, "00080018")
                if sop_uid in self._seen:
                    continue
                arrived = _recognised(self._retrieve(f"{place}/instances/{sop_uid}"), run_id)
                if arrived is None:
                    self._foreign.add(place)
                    break
                self._seen.add(sop_uid)
                yield arrived

    def _search(self, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        known: set[str] = set()
        while True:
            answer = self._http.get(
                self._url + path,
                params={**query, "limit": str(_PAGE), "offset": str(len(known))},
                headers={"Accept": "application/dicom+json"},
                timeout=_TIMEOUT,
            )
            answer.raise_for_status()
            rows = answer.json() if answer.status_code == requests.codes.ok else []
            fresh = {_key(row): row for row in rows if _key(row) not in known}
            known |= fresh.keys()
            yield from fresh.values()
            # A server may ignore the offset and answer the same page for ever.
            if len(rows) < _PAGE or not fresh:
                return

    def _retrieve(self, path: str) -> bytes:
        answer = self._http.get(self._url + path, headers={"Accept": _PART}, timeout=_TIMEOUT)
        answer.raise_for_status()
        return _first_part(answer.headers.get("Content-Type", ""), answer.content)


def _key(row: dict[str, Any]) -> str:
    return f"{_first(row, '0020000D')}/{_first(row, '0020000E')}/{_first(row, '00080018')}"


def _first(row: dict[str, Any], tag: str) -> str:
    """The first value of an attribute of the DICOM JSON model (PS3.18 annex F); empty if there is none."""
    values = row.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _first_part(content_type: str, body: bytes) -> bytes:
    """The content of the first part of a multipart body (RFC 2046 5.1.1); the body itself if it has no parts."""
    match = re.search(r'boundary="?([^";]+)', content_type)
    if match is None:
        return body
    boundary = b"--" + match.group(1).encode("ascii")
    start = body.find(b"\r\n\r\n", body.find(boundary)) + 4
    end = body.find(b"\r\n" + boundary, start)
    return body[start : end if end >= 0 else None]


def _is_sample(path: Path, run_id: str) -> bool:
    try:
        head = dcmread(path, specific_tags=["Manufacturer"], stop_before_pixels=True)
    except (InvalidDicomError, EOFError):
        return False
    return str(head.get("Manufacturer", "")) == marker(run_id)


def _recognised(content: bytes, run_id: str) -> Arrived | None:
    try:
        dataset = dcmread(BytesIO(content))
    except (InvalidDicomError, EOFError):
        return None
    return Arrived(content, dataset) if str(dataset.get("Manufacturer", "")) == marker(run_id) else None
