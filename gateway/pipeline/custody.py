"""Whether the service account alone has what must be its own: checked before anything is opened (promise P9)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.config import Settings
from gateway.permissions import require_private, require_private_key, require_unwritable


def check_custody(settings: Settings) -> None:
    """Check permissions and ownership of the data, the spool, the ledger, secrets and keys, as far as they exist.

    Raises
    ------
    ConfigurationError: others may use or change one of them; names the file and says what to do
    """
    data = settings.data
    require_unwritable(data)
    require_private(data / "spool")
    for suffix in ("", "-wal", "-shm"):
        require_private(data / f"ledger.sqlite3{suffix}")
    require_private(data / "secrets")
    for path in sorted((data / "secrets").glob("*.key")):
        require_private(path)
    for place, path in _key_files(settings):
        require_private_key(path, place=place)


def _key_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The files of private keys that the configuration names, each with its place."""
    for place, tls in (("dicom.tls", settings.dicom.tls), ("http.tls", settings.http.tls)):
        if tls is not None:
            yield place, tls.key_file or tls.certificate_file
    for name, destination in settings.destinations.items():
        if destination.type == "dicom":
            client, place = destination.tls, f"destinations.{name}.tls"
            if client is not None and client.certificate_file is not None:
                yield place, client.key_file or client.certificate_file
        elif destination.type == "dicomweb" and destination.auth is not None:
            auth = destination.auth
            if auth.type == "client-certificate":
                yield f"destinations.{name}.auth", auth.key_file or auth.certificate_file
