"""What a backup says of itself, under a MAC whose key is made of the backup's passphrase.

The manifest names the digest of the list of files, the list the digest of each file: one MAC covers all. The list may
name nothing but what a backup has: no secret in the open, nothing outside of its place.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from gateway.custody.sealed_secrets import SALT_BYTES, derive_key
from gateway.errors import BackupUnusable, ConfigurationError
from gateway.ledger import SCHEMA_VERSION

#: Version of a backup's form: 1 had no MAC.
FORM: Final = 2
MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
LEDGER: Final = "ledger.sqlite3"
DUMP: Final = "ledger.dump"
NODE: Final = "node"
SECRETS: Final = "secrets.sealed"
SPOOL: Final = "spool"
HISTORY: Final = "history"

#: What a file of a backup may be called.
_NAME: Final = re.compile(
    r"ledger\.sqlite3|ledger\.dump|node|secrets\.sealed"
    r"|spool/received/\d{4}-\d{2}-\d{2}/[0-9A-HJKMNP-TV-Z]{26}\.dcm"
    r"|spool/out/\d{4}-\d{2}-\d{2}/[0-9A-HJKMNP-TV-Z]{26}\.out"
    r"|spool/damaged/[0-9A-HJKMNP-TV-Z]{26}\.(?:dcm|out)"
    r"|history/(?:history|instances)-\d{8}\.jsonl\.gz",
    re.ASCII,
)
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([ -~]+)", re.ASCII)
#: Longest manifest, list of files, and files of one kind, in bytes.
_LONGEST_MANIFEST: Final = 1 << 16
_LONGEST_SUMS: Final = 1 << 32
_LONGEST: Final = {NODE: 256, SECRETS: 1 << 20}
_PURPOSE: Final = b"deid-gateway backup 2\n"
#: What an unauthenticated backup is refused with, unless it is asked for.
NOT_CHECKED: Final = (
    "nothing shows who made it or whether it was changed: its ledger, originals and outputs are taken as they are"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup is.

    Attributes
    ----------
    form
        version of its form
    gateway, schema
        versions of the gateway and of the ledger's schema
    made_at
        when it was begun, ISO 8601, UTC
    ledger
        name of the file with the ledger
    secrets
        whether the secrets of the data directory are in it
    files, size
        number of files below ``spool`` and their bytes
    total
        bytes of all files that ``SHA256SUMS`` names; 0 in form 1, which does not tell
    sums
        SHA-256 of ``SHA256SUMS``
    salt, mac
        of the MAC, hexadecimal; empty for a backup without
    """

    form: int
    gateway: str
    schema: str
    made_at: str
    ledger: str
    secrets: bool
    files: int
    size: int
    sums: str
    total: int = 0
    salt: str = ""
    mac: str = ""

    def sealed(self, passphrase: str) -> Manifest:
        """The same with a MAC by ``passphrase``."""
        facts = {**asdict(self), "salt": os.urandom(SALT_BYTES).hex()}
        return Manifest(**{**facts, "mac": _mac(facts, passphrase)})

    def verify(self, place: str, passphrase: str | None, *, unauthenticated: bool) -> None:
        """See that whoever has the passphrase made it.

        Parameters
        ----------
        place
            the backup, for errors
        passphrase
            the backup's; None if it is not given
        unauthenticated
            whether a backup without a MAC will do

        Raises
        ------
        BackupUnusable
            it has no MAC, or another
        ConfigurationError
            it has one, and the passphrase is missing
        """
        if not self.mac:
            if not unauthenticated:
                problem = f"{NOT_CHECKED}; --unauthenticated restores it all the same"
                raise BackupUnusable(place=place, problem=problem)
            return
        if passphrase is None:
            raise ConfigurationError(place="restore", problem="the backup has a passphrase: give --passphrase-file")
        if not hmac.compare_digest(_mac(asdict(self), passphrase), self.mac):
            problem = "its manifest was changed, or the passphrase is another"
            raise BackupUnusable(place=place, problem=problem)

    def encoded(self) -> bytes:
        """The content of its file."""
        return json.dumps(asdict(self), indent=2).encode("ascii") + b"\n"


def read_manifest(source: Path) -> Manifest:
    """The manifest of the backup ``source``, not verified yet.

    Raises
    ------
    BackupUnusable
        there is none, it is damaged, or a later gateway made it
    """
    place = str(source)
    try:
        with open_part(source, MANIFEST) as file:
            facts = json.loads(file.read(_LONGEST_MANIFEST + 1).decode("ascii"))
    except FileNotFoundError:
        raise BackupUnusable(place=place, problem="it has no manifest, so it was never completed") from None
    except (OSError, ValueError, RecursionError):
        raise BackupUnusable(place=place, problem="its manifest cannot be read") from None
    if not isinstance(facts, dict) or facts.get("form") not in (1, FORM):
        raise BackupUnusable(place=place, problem=f"its form is not version {FORM} or 1, which this gateway reads")
    manifest = _manifest(facts)
    if manifest is None:
        raise BackupUnusable(place=place, problem="its manifest is damaged")
    if manifest.schema > SCHEMA_VERSION:
        raise BackupUnusable(place=place, problem="a later gateway made it: restore it with that one")
    return manifest


def read_sums(source: Path, manifest: Manifest) -> dict[str, str]:
    """File -> SHA-256, for every file of a backup; each has a name and place that a backup's files have.

    Raises
    ------
    BackupUnusable
        the list is missing or was changed, or names what no backup has
    """
    place = str(source)
    try:
        with open_part(source, SUMS) as file:
            content = file.read(_LONGEST_SUMS)
    except OSError:
        raise BackupUnusable(place=place, problem=f"{SUMS} cannot be read") from None
    if hashlib.sha256(content).hexdigest() != manifest.sums:
        raise BackupUnusable(place=place, problem=f"{SUMS} is not what the manifest names")
    sums: dict[str, str] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").removesuffix("\n").split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BackupUnusable(place=place, problem=f"line {number} of {SUMS} is none of a backup")
        digest, name = match.groups()
        if not is_part(name):
            problem = f"line {number} of {SUMS} names a file that no backup has, or a place outside of it"
            raise BackupUnusable(place=place, problem=problem)
        if name in sums:
            raise BackupUnusable(place=place, problem=f"line {number} of {SUMS} names a file a second time")
        sums[name] = digest
    _require_parts(place, manifest, sums)
    return sums


def is_part(name: str) -> bool:
    """Whether a file of a backup may be called ``name``: its path below the backup, with ``/``."""
    return _NAME.fullmatch(name) is not None


def open_part(source: Path, name: str) -> BinaryIO:
    """Open a file of a backup for reading: a regular file that no link leads to.

    Parameters
    ----------
    source
        the backup
    name
        of one of its files, parts separated by ``/``

    Raises
    ------
    FileNotFoundError
        it is missing
    BackupUnusable
        it is a link, or in a directory that is one, or no file, or longer than its kind is
    OSError
        it cannot be read
    """
    *folders, last = name.split("/")
    descriptor = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        # A pipe in its place must not stop the restore.
        part = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
    except FileNotFoundError:
        raise
    except OSError:
        raise BackupUnusable(place=str(source), problem=f"{name} is no plain file that can be read") from None
    finally:
        with suppress(OSError):
            os.close(descriptor)
    status = os.fstat(part)
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = f"{name} is no plain file that can be read"
    elif status.st_size > _LONGEST.get(name, status.st_size):
        problem = f"{name} is longer than {_LONGEST[name]} bytes"
    if problem is not None:
        os.close(part)
        raise BackupUnusable(place=str(source), problem=problem)
    return os.fdopen(part, "rb", buffering=0)


def _manifest(facts: dict[str, Any]) -> Manifest | None:
    """The manifest with these facts, if they are of the right types."""
    try:
        manifest = Manifest(**facts)
    except TypeError:
        return None
    types: Mapping[str, type] = {"form": int, "secrets": bool, "files": int, "size": int, "total": int}
    for name, value in asdict(manifest).items():
        wanted = types.get(name, str)
        if type(value) is not wanted or (isinstance(value, int) and value < 0):
            return None
    is_complete = manifest.ledger in (LEDGER, DUMP) and bool(manifest.salt) == bool(manifest.mac)
    return manifest if is_complete and (manifest.form == FORM or not manifest.mac) else None


def _require_parts(place: str, manifest: Manifest, sums: Mapping[str, str]) -> None:
    """What the manifest says of the list is what the list says."""
    other = DUMP if manifest.ledger == LEDGER else LEDGER
    if manifest.ledger not in sums or other in sums:
        raise BackupUnusable(place=place, problem=f"{SUMS} does not name the ledger that the manifest names")
    if (SECRETS in sums) != manifest.secrets:
        raise BackupUnusable(place=place, problem=f"{SUMS} and the manifest disagree about secrets")
    if sum(name.startswith(f"{SPOOL}/") for name in sums) != manifest.files:
        raise BackupUnusable(place=place, problem=f"{SUMS} names another number of spool files than the manifest")


def _mac(facts: Mapping[str, object], passphrase: str) -> str:
    content = {name: value for name, value in facts.items() if name != "mac"}
    message = _PURPOSE + json.dumps(content, sort_keys=True).encode("ascii")
    salt = str(facts["salt"]).encode("ascii")
    return hmac.new(derive_key(passphrase, salt), message, "sha256").hexdigest()
