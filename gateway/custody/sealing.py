"""Seals of the ends of chains: made while the gateway runs, told to the log, and compared when somebody verifies.

The chain of a project's receipts is sealed with the project's key, the audit trail with the gateway's own. The log has
every seal as well: a seal that was removed from the ledger, with the tail that it names, is still known there.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from gateway.audit import SYSTEM, AuditAction, AuditEntry
from gateway.custody.secret import GATEWAY, project_secrets
from gateway.deid import ProjectKey
from gateway.ledger import AUDIT, ChainEnd, ChainSeal, Ledger, chain_of
from gateway.settings.configuration import Settings

__all__ = ["Sealer", "broken_seals", "guard_trail", "missing_from_log", "seal_keys"]

log = structlog.get_logger(__name__)

#: Chains -> keys that may have sealed them, the present one first.
Keys = Mapping[str, tuple[ProjectKey, ...]]

_LABEL: Final = "chain-end"
#: At start so many of the last seals are compared; whoever verifies compares all.
_AT_START: Final = 200
#: Of a line of the log, in either of its formats.
_FACT: Final = r"""["']?\b{name}["']?\s*[=:]\s*["']?(?P<{name}>[\w:.@+-]+)"""
_FACTS: Final = tuple(re.compile(_FACT.format(name=name)) for name in ("chain", "number", "digest", "mac"))


def seal_keys(settings: Settings) -> Keys:
    """The keys of the chains that the configuration's projects have, and of the audit trail.

    Raises
    ------
    ConfigurationError
        a secret cannot be read
    """
    names = {AUDIT: GATEWAY, **{chain_of(project): project for project in settings.projects}}
    return {chain: tuple(map(ProjectKey, project_secrets(settings, name))) for chain, name in names.items()}


@dataclass(frozen=True, slots=True)
class _Last:
    end: ChainEnd
    mac: str


class Sealer:
    """Seals the ends of the chains of one gateway; one at a time does so.

    Parameters
    ----------
    ledger
        whose chains
    keys
        as :func:`seal_keys` makes them
    """

    def __init__(self, ledger: Ledger, keys: Keys) -> None:
        self._ledger = ledger
        self._keys = keys
        self._last = {seal.chain: _Last(seal, seal.mac) for seal in ledger.seals.last()}

    def seal(self, *, now: datetime) -> int:
        """Seal the chains that have grown; return how many.

        Raises
        ------
        LedgerUnavailable
            the ledger cannot be read or written
        """
        made = []
        for end in self._ledger.seals.chain_ends():
            last = self._last.get(end.chain)
            keys = self._keys.get(end.chain)
            # A project that is configured no more has no receipts either.
            if not keys or (last is not None and last.end.number >= end.number):
                continue
            mac = _mac(keys[0], end, "" if last is None else last.mac)
            made.append(
                ChainSeal(
                    chain=end.chain, number=end.number, digest=end.digest, key_id=keys[0].id, mac=mac, sealed_at=now
                )
            )
        self._ledger.seals.add(made)
        for seal in made:
            self._last[seal.chain] = _Last(seal, seal.mac)
            log.info("chain end", chain=seal.chain, number=seal.number, digest=seal.digest, mac=seal.mac)
        return len(made)


def broken_seals(ledger: Ledger, keys: Keys, *, newest: int | None = None) -> Iterator[str]:
    """What is wrong with seals, or with the chains where they were sealed, in words.

    Parameters
    ----------
    ledger
        whose
    keys
        as :func:`seal_keys` makes them; chains of projects that are not configured are compared without
    newest
        compare only the last so many

    Raises
    ------
    LedgerUnavailable
        the ledger cannot be read
    """
    seals = ledger.seals.read(newest=newest)
    present = ledger.seals.digests_at(seals)
    before: dict[str, str | None] = {}
    for seal in seals:
        # The first of a part of the seals follows one that was not read.
        previous = before.get(seal.chain, "" if newest is None or len(seals) < newest else None)
        before[seal.chain] = seal.mac
        key = next((key for key in keys.get(seal.chain, ()) if key.id == seal.key_id), None)
        if key is None and seal.chain in keys:
            yield f"{seal.chain}: number {seal.number} was sealed by a key that is not there"
        if key is not None and previous is not None and not hmac.compare_digest(_mac(key, seal, previous), seal.mac):
            yield f"{seal.chain}: the seal of number {seal.number} was changed, or one before it is missing"
            continue
        if present.get((seal.chain, seal.number)) != seal.digest:
            yield (
                f"{seal.chain}: number {seal.number} is not what it was when it was sealed at"
                f" {seal.sealed_at:%Y-%m-%d %H:%M:%S}: the end of the chain was written anew"
            )


def missing_from_log(ledger: Ledger, lines: Iterable[str]) -> Iterator[str]:
    """What lines of the gateway's log say of ends of chains and the ledger does not have, in words.

    Parameters
    ----------
    ledger
        whose
    lines
        of the log, in either format; others than those of ends are passed over

    Raises
    ------
    LedgerUnavailable
        the ledger cannot be read
    """
    told: dict[tuple[str, int], tuple[str, str]] = {}
    for line in lines:
        facts = {
            name: match[name] for pattern in _FACTS if (match := pattern.search(line)) for name in match.groupdict()
        }
        if "chain end" in line and len(facts) == len(_FACTS) and facts["number"].isdigit():
            told[facts["chain"], int(facts["number"])] = facts["digest"], facts["mac"]
    present = ledger.seals.digests_at(ChainEnd(chain=chain, number=number, digest="") for chain, number in told)
    sealed = {(seal.chain, seal.number): seal.mac for seal in ledger.seals.read()}
    for (chain, number), (digest, mac) in told.items():
        if present.get((chain, number)) != digest:
            yield f"{chain}: the log knows another number {number}: the end of the chain was written anew"
        elif sealed.get((chain, number)) != mac:
            yield f"{chain}: the log knows a seal of number {number} that is missing"


def guard_trail(ledger: Ledger, keys: Keys) -> None:
    """At start: put back what keeps the audit trail from being changed, compare seals, and say loudly what is wrong.

    Raises
    ------
    LedgerUnavailable
        the ledger cannot be read or written
    """
    problems = list(broken_seals(ledger, keys, newest=_AT_START))
    if missing := ledger.seals.restore_guards():
        problems.append(f"triggers that keep the audit trail were missing, changed or off: {', '.join(missing)}")
    for problem in problems:
        log.error("audit trail not intact", detail=problem)
        ledger.audit.write(
            AuditEntry(
                actor=SYSTEM, action=AuditAction.TAMPERING_NOTICED, subject="ledger", facts={"problem": problem[:500]}
            )
        )


def _mac(key: ProjectKey, end: ChainEnd, previous: str) -> str:
    return key.digest(_LABEL, end.chain, str(end.number), end.digest, previous).hex()
