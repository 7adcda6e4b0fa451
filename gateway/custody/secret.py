"""The secrets of projects, and the gateway's own.

Everything that replaces identity is a keyed function of a project's secret: whoever has it can test guesses of
identities, and whoever loses it cannot continue the project's pseudonyms. It comes from the environment, from a file,
or is made once and kept in ``<data>/secrets/<project>.key``. The gateway's own secret keys what belongs to no project;
it is given or made in the same way, and its functions take the name ``GATEWAY`` for a project's.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from gateway.errors import ConfigurationError
from gateway.settings.configuration import Keyed, Settings

#: Shortest secret in characters, and how many different ones it needs at least.
SHORTEST: Final = 32
_DIFFERENT: Final = 8
#: Stands for the gateway itself where the name of a project is asked for; no project's name has an @.
GATEWAY: Final = "@gateway"


def keyed(settings: Settings, name: str) -> Keyed:
    """What the configuration says of the key of a project, or of the gateway."""
    return settings.gateway_key if name == GATEWAY else settings.projects[name]


def place_of_key(name: str) -> str:
    """Where the configuration speaks of the key of a project, or of the gateway."""
    return "gateway_key" if name == GATEWAY else f"projects.{name}"


def secret_path(settings: Settings, project: str, *, version: int = 1) -> Path:
    """Where a version of the secret of ``project`` is kept when the configuration does not give it."""
    return settings.data / "secrets" / (f"{project}.key" if version == 1 else f"{project}@{version}.key")


def project_secret(settings: Settings, project: str, *, create: bool = True) -> bytes:
    """The secret of ``project``: at least 32 bytes.

    Parameters
    ----------
    settings
        the configuration.
    project
        name of one of its projects.
    create
        whether a secret that neither the configuration nor the data directory has is made. A project that has
        de-identified before must not get another one.

    Raises
    ------
    ConfigurationError
        the secret is missing, weak, or readable by others than the service account.
    """
    configured = keyed(settings, project)
    place = place_of_key(project)
    if configured.secret is not None:
        return _checked(configured.secret.get_secret_value(), place=f"{place}.secret")
    if configured.secret_file is not None:
        return _checked(_read(configured.secret_file), place=str(configured.secret_file))
    path = secret_path(settings, project, version=configured.key_version)
    if create and not path.exists():
        _create(path)
    return _checked(_read(path), place=str(path))


def previous_secrets(settings: Settings, project: str) -> dict[int, bytes]:
    """The secrets that ``project`` had before, as far as they are there: version -> secret, the latest first.

    Raises
    ------
    ConfigurationError
        one is weak, cannot be read, or is readable by others than the service account
    """
    configured = keyed(settings, project)
    place = f"{place_of_key(project)}.previous_keys"
    earlier = {}
    for previous in configured.previous_keys:
        if previous.secret is not None:
            earlier[previous.version] = _checked(previous.secret.get_secret_value(), place=place)
        elif previous.secret_file is not None:
            earlier[previous.version] = _checked(_read(previous.secret_file), place=str(previous.secret_file))
    for version in range(1, configured.key_version):
        path = secret_path(settings, project, version=version)
        if version not in earlier and path.exists():
            earlier[version] = _checked(_read(path), place=str(path))
    return dict(sorted(earlier.items(), reverse=True))


def project_secrets(settings: Settings, project: str) -> tuple[bytes, ...]:
    """Every secret of ``project`` that is there: its own first, then those that it had before, the latest first.

    Raises
    ------
    ConfigurationError
        one is weak, cannot be read, or is readable by others than the service account
    """
    return (project_secret(settings, project, create=False), *previous_secrets(settings, project).values())


def read_secret(path: Path) -> str:
    """The secret in a file, without the blanks around it.

    Parameters
    ----------
    path
        the file.

    Raises
    ------
    ConfigurationError
        it cannot be read, is empty, or others than the service account may read it.
    """
    secret = _read(path).strip()
    if not secret:
        raise ConfigurationError(place=str(path), problem="the secret is empty")
    return secret


def _checked(text: str, *, place: str) -> bytes:
    secret = text.strip()
    if len(secret) < SHORTEST or len(set(secret)) < _DIFFERENT:
        raise ConfigurationError(
            place=place,
            problem=f"a secret has at least {SHORTEST} characters, {_DIFFERENT} of them different: "
            "make one with `openssl rand -hex 32`",
        )
    return secret.encode("utf-8")


def _read(path: Path) -> str:
    """The content of a secret's file, after checking the file that was opened rather than the one that was named."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigurationError(place=str(path), problem=f"the secret cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(place=str(path), problem="a secret is kept in a regular file")
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(
                place=str(path),
                problem=f"others than the owner may use the secret (mode {stat.S_IMODE(status.st_mode):04o}): "
                "change that with chmod 600",
            )
        if status.st_uid not in (0, os.geteuid()):
            raise ConfigurationError(place=str(path), problem="the secret belongs to another account")
        content = file.read(4096 + 1)
    if len(content) > 4096:
        raise ConfigurationError(place=str(path), problem="a secret has at most 4096 bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(place=str(path), problem="a secret is text: UTF-8 without other bytes") from None


def _create(path: Path) -> None:
    """Make a secret of 256 bits, durable and whole before it has its name; the first of several processes wins."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
                file.flush()
                os.fsync(descriptor)
            _link(draft, path)
        finally:
            draft.unlink()
        _sync_directory(path.parent)
        _sync_directory(path.parent.parent)
    except OSError as error:
        raise ConfigurationError(place=str(path), problem=f"no secret can be made there: {error.strerror}") from None


def _link(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        # Another process was first: its secret counts.
        return


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
