"""What the supervisor writes into the audit trail: start and stop, and which profile is active since when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.audit import AuditAction, AuditEntry, acting_person
from gateway.errors import GatewayError
from gateway.ledger import Ledger
from gateway.profile import Program
from gateway.version import __version__


def audit_start(ledger: Ledger, programs: Mapping[str, Program], *, node: str) -> None:
    """Write that the gateway started, and with which profiles.

    Raises
    ------
    LedgerUnavailable
        the trail cannot be written, so the gateway must not start
    """
    actor = acting_person()
    ledger.audit.write(
        AuditEntry(
            actor=actor, action=AuditAction.GATEWAY_STARTED, subject=f"node {node}", facts={"version": __version__}
        )
    )
    audit_profiles(ledger, programs, programs)


def audit_profiles(ledger: Ledger, programs: Mapping[str, Program], projects: Iterable[str]) -> None:
    """Write which profile becomes active for each of ``projects``.

    Raises
    ------
    LedgerUnavailable
        the trail cannot be written, so the profiles must not become active
    """
    actor = acting_person()
    for project in projects:
        program = programs[project]
        ledger.audit.write(
            AuditEntry(
                actor=actor,
                action=AuditAction.PROFILE_ACTIVATED,
                subject=project,
                facts={"profile": program.profile, "version": program.version, "digest": program.digest},
            )
        )


def audit_refusal(ledger: Ledger, error: GatewayError) -> None:
    """Write that profiles were not activated, and why; the error's message holds no values of data sets.

    Raises
    ------
    LedgerUnavailable
        the trail cannot be written
    """
    ledger.audit.write(
        AuditEntry(
            actor=acting_person(),
            action=AuditAction.PROFILE_REFUSED,
            subject="profiles",
            facts={"code": error.code, "problem": error.message[:1000]},
        )
    )


def audit_stop(ledger: Ledger, *, node: str) -> None:
    """Write that the gateway stopped in order.

    Raises
    ------
    LedgerUnavailable
        the trail cannot be written
    """
    ledger.audit.write(AuditEntry(actor=acting_person(), action=AuditAction.GATEWAY_STOPPED, subject=f"node {node}"))


__all__ = ["audit_profiles", "audit_refusal", "audit_start", "audit_stop"]
