"""Whether the service account alone has what must be its own: checked before anything is opened (promise P9)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.errors import ConfigurationError
from gateway.permissions import require_private, require_private_key, require_unwritable
from gateway.settings.accounts import make_token, token_digest
from gateway.settings.configuration import Settings

#: The token that the gateway makes for itself, in the data.
_HTTP_TOKEN: Final = "http.token"  # noqa: S105 - the name of its file


def check_custody(settings: Settings) -> None:
    """Check permissions and ownership of the data, the spool, the ledger, secrets and keys, as far as they exist.

    Raises
    ------
    ConfigurationError
        others may use or change one of them; names the file and says what to do
    """
    data = settings.data
    require_unwritable(data)
    require_private(data / "spool")
    for suffix in ("", "-wal", "-shm"):
        require_private(data / f"ledger.sqlite3{suffix}")
    require_private(data / "secrets")
    require_private(data / _HTTP_TOKEN)
    for path in sorted((data / "secrets").glob("*.key")):
        require_private(path)
    for place, path in _key_files(settings):
        require_private_key(path, place=place)


def own_token(settings: Settings) -> str:
    """The token that counts over HTTP while there are no users, "" when there are; made when it is not there yet.

    Raises
    ------
    ConfigurationError
        the file cannot be read or written, or holds no token
    """
    if settings.users:
        return ""
    path = settings.data / _HTTP_TOKEN
    try:
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(make_token().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        require_private(path)
        token = path.read_text(encoding="ascii").strip()
        token_digest(token)
    except OSError as error:
        raise ConfigurationError(place=str(path), problem=f"cannot be used: {error.strerror}") from None
    except ValueError:
        problem = "holds no token: remove the file, and the gateway makes another at its start"
        raise ConfigurationError(place=str(path), problem=problem) from None
    return token


def _key_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The files of private keys that the configuration names, each with its place."""
    for place, tls in (("dicom.tls", settings.dicom.tls), ("http.tls", settings.http.tls)):
        if tls is not None:
            yield place, tls.key_file or tls.certificate_file
    for name, destination in settings.destinations.items():
        yield from ((f"destinations.{name}.{key}", path) for key, path in destination.key_files())
