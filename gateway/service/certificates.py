"""When the configured certificates expire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from gateway.settings.configuration import Settings

__all__ = ["Expiries"]

#: Keys of the configuration that name certificates: the gateway's own with their chain, and authorities.
_OWN: Final = "certificate_file"
_AUTHORITIES: Final = "ca_file"


class Expiries:
    """The expiry of every certificate that the configuration names; a file is read again when it has changed.

    Parameters
    ----------
    settings
        the configuration
    """

    def __init__(self, settings: Settings) -> None:
        self._files = dict(_files(settings, ""))
        self._known: dict[str, tuple[tuple[int, int, int], float]] = {}

    def read(self) -> Mapping[str, float]:
        """Place in the configuration -> when it expires, in seconds since 1970.

        Of a certificate with its chain, the first to expire counts; of authorities the last one. A file that cannot be
        read, or holds none, counts as expired in 1970.
        """
        return {place: self._expiry(place, path) for place, path in self._files.items()}

    def _expiry(self, place: str, path: Path) -> float:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._known.get(place)
            if known is None or known[0] != stamp:
                known = self._known[place] = (stamp, _expiry(path, last=place.endswith(_AUTHORITIES)))
        except (OSError, ValueError):
            return 0.0
        return known[1]


def _expiry(path: Path, *, last: bool) -> float:
    from cryptography import x509

    moments = [one.not_valid_after_utc.timestamp() for one in x509.load_pem_x509_certificates(path.read_bytes())]
    return max(moments) if last else min(moments)


def _files(section: BaseModel, place: str) -> Iterator[tuple[str, Path]]:
    """Every certificate's file below a section of the configuration, with its place."""
    for key in type(section).model_fields:
        value = getattr(section, key)
        at = f"{place}{key}"
        if key in (_OWN, _AUTHORITIES):
            if isinstance(value, Path):
                yield at, value
        elif isinstance(value, BaseModel):
            yield from _files(value, f"{at}.")
        elif isinstance(value, dict):
            for name, inner in value.items():
                if isinstance(inner, BaseModel):
                    yield from _files(inner, f"{at}.{name}.")
