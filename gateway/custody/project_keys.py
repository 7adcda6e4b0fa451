"""The keys of projects at start: the same as before, or another on purpose.

With another key every patient becomes another, every UID and every date shift too, and nobody sees it in the outputs.
So the ledger records an identifier of each project's key, and a gateway whose key is another does not start, unless the
configuration says with a higher ``key_version`` that it is meant, and nothing is under way.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog

from gateway.audit import SYSTEM, AuditAction, AuditEntry
from gateway.custody.secret import GATEWAY, keyed, place_of_key, previous_secrets, project_secret, project_secrets
from gateway.deid import ProjectKey
from gateway.errors import ConfigurationError
from gateway.ledger import InstanceState, KeyVersion, Ledger
from gateway.settings.configuration import Settings

log = structlog.get_logger(__name__)

#: States from which an instance may still be de-identified, once more or for the first time.
_UNDER_WAY: Final = (InstanceState.RECEIVED, InstanceState.HELD, InstanceState.DEIDENTIFIED)


def establish_keys(settings: Settings, ledger: Ledger, *, now: datetime) -> None:
    """Make the keys that are missing and may be made, compare all with the record, record those that are used first.

    Parameters
    ----------
    settings
        the configuration
    ledger
        its ledger, with the rows of everything that is in the spool
    now
        timezone-aware

    Raises
    ------
    ConfigurationError
        a key is not the one that it was, or must not change at this moment; says what to do
    LedgerUnavailable
        the record cannot be read or written
    """
    for name in settings.projects:
        _establish(name, settings, ledger, now=now)


def establish_gateway_key(settings: Settings, ledger: Ledger, *, now: datetime) -> tuple[bytes, ...]:
    """As :func:`establish_keys`, for the gateway's own secret; before anything that needs it.

    Returns
    -------
    The secret, then those that it had before, the latest first.

    Raises
    ------
    ConfigurationError
        the key is not the one that it was; says what to do
    LedgerUnavailable
        the record cannot be read or written
    """
    _establish(GATEWAY, settings, ledger, now=now)
    return project_secrets(settings, GATEWAY)


def _establish(name: str, settings: Settings, ledger: Ledger, *, now: datetime) -> None:
    version = keyed(settings, name).key_version
    recorded = ledger.keys.versions(name)
    newest = recorded[-1] if recorded else None
    is_change = newest is not None and version > newest.version
    if newest is None:
        # Nothing is under way with the gateway's own: what has no token yet gets it.
        has_instances = name != GATEWAY and any(row.project == name for row in ledger.figures.status().instances)
        if has_instances and version > 1:
            raise _refused(
                name, "the key of the instances that it has is not recorded yet: start once with that key as version 1"
            )
        may_be_made = not has_instances
    elif version < newest.version:
        raise _refused(
            name,
            f"version {newest.version} is in use since {newest.recorded_at:%Y-%m-%d}; to use an earlier key again, "
            f"give it as version {newest.version + 1}",
        )
    else:
        may_be_made = is_change
        if is_change and name != GATEWAY:
            _require_quiet(name, ledger)
    key_id = ProjectKey(project_secret(settings, name, create=may_be_made)).id
    if newest is not None:
        _compare(name, version, key_id, newest)
    _check_previous(name, settings, recorded)
    entry = None
    if is_change and newest is not None:
        entry = AuditEntry(
            actor=SYSTEM,
            action=AuditAction.KEY_CHANGED,
            subject=name,
            facts={"version": version, "key": key_id, "before": newest.key_id},
        )
    kept = ledger.keys.record(name, version, key_id, now=now, entry=entry)
    if kept.key_id != key_id:
        raise _another(name, version)
    if is_change:
        log.warning("project key changed", project=name, version=str(version))


def _compare(name: str, version: int, key_id: str, newest: KeyVersion) -> None:
    if version == newest.version and key_id != newest.key_id:
        raise _another(name, version)
    if version > newest.version and key_id == newest.key_id:
        raise _refused(
            name, f"version {version} is meant to be another key, but is the one of version {newest.version}"
        )


def _check_previous(name: str, settings: Settings, recorded: tuple[KeyVersion, ...]) -> None:
    ids = {one.version: one.key_id for one in recorded}
    for version, secret in previous_secrets(settings, name).items():
        if version in ids and ProjectKey(secret).id != ids[version]:
            raise ConfigurationError(
                place=f"{place_of_key(name)}.previous_keys", problem=f"this is not the key that version {version} was"
            )


def _require_quiet(name: str, ledger: Ledger) -> None:
    """Nothing may be half-way: parts of one study under two keys would be two studies of two patients."""
    under_way = sum(
        row.count
        for row in ledger.figures.status().instances
        if row.project in (name, None) and row.state in _UNDER_WAY
    )
    if under_way:
        raise _refused(
            name,
            f"{under_way} instances are under way or held: start with the former key, let them be delivered or "
            "rejected, then change it",
        )


def _another(name: str, version: int) -> ConfigurationError:
    if name == GATEWAY:
        return _refused(
            name,
            f"the secret is not the one that version {version} was: nothing that was received would be found by its "
            f"original identifiers. Put the former secret back, or, if that is meant, set key_version: {version + 1} "
            "(docs/how-to/why-has-a-study-not-arrived.md)",
        )
    return _refused(
        name,
        f"the secret is not the one that version {version} was: every patient would become another. Put the former "
        f"secret back, or, if that is meant, set key_version: {version + 1} (docs/how-to/rotate-a-key.md)",
    )


def _refused(name: str, problem: str) -> ConfigurationError:
    return ConfigurationError(place=f"{place_of_key(name)}.key_version", problem=problem)
