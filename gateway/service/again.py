"""Delivering and making again, as a person wants it: what the command line and other callers have in common."""

from __future__ import annotations

from dataclasses import replace

from gateway.audit import AuditAction, AuditEntry
from gateway.errors import ConfigurationError
from gateway.ledger import InstanceState, Ledger, Redone, Resent, Selection
from gateway.settings.configuration import Settings

__all__ = ["cancel", "orphaned", "redo", "resend"]


def resend(
    settings: Settings,
    ledger: Ledger,
    selection: Selection,
    *,
    destination: str | None = None,
    also_new: bool = False,
    if_missing: bool = False,
    by: str,
    because: str = "",
) -> Resent:
    """Send once more what destinations have confirmed.

    Parameters
    ----------
    settings
        The configuration.
    ledger
        Of the gateway.
    selection
        Of which instances.
    destination
        Only to this one; None for each that an instance was delivered to.
    also_new
        To ``destination`` also what was never meant for it.
    if_missing
        Ask first, and send what is missing.
    by, because
        Who wants it, and why.

    Raises
    ------
    ConfigurationError
        There is no such destination, or it cannot be asked.
    LedgerUnavailable
        The database is locked, unreachable or full.
    """
    if destination is not None:
        _require(settings, destination)
    elif also_new:
        raise ConfigurationError(place="--also-new", problem="say to which destination: --destination NAME")
    if if_missing:
        asked = [destination] if destination is not None else list(settings.destinations)
        silent = [name for name in asked if not settings.destinations[name].can_be_asked]
        if silent:
            raise ConfigurationError(
                place=f"destinations.{silent[0]}", problem="it cannot be asked what it has: send without --if-missing"
            )
    audit = AuditEntry(
        actor=by, action=AuditAction.DELIVERY_FORCED, subject=destination or "every destination", because=because
    )
    return ledger.corrections.resend(
        selection, destination=destination, also_new=also_new, if_missing=if_missing, audit=audit
    )


def redo(
    ledger: Ledger,
    selection: Selection,
    *,
    states: tuple[InstanceState, ...] = (),
    keep_confirmed: bool = False,
    by: str,
    because: str,
) -> Redone:
    """Send instances through the workers again.

    Parameters
    ----------
    ledger
        Of the gateway.
    selection
        Which.
    states
        Only in these; any that can be made anew if empty.
    keep_confirmed
        What a destination has confirmed stays as it is there.
    by, because
        Who wants it, and why.

    Raises
    ------
    LedgerUnavailable
        The database is locked, unreachable or full.
    """
    audit = AuditEntry(actor=by, action=AuditAction.INSTANCES_REDONE, subject="instances", because=because)
    return ledger.corrections.redo(replace(selection, states=states), audit=audit, keep_confirmed=keep_confirmed)


def cancel(
    settings: Settings,
    ledger: Ledger,
    selection: Selection,
    *,
    destination: str,
    move_to: str | None = None,
    by: str,
    because: str = "",
) -> int:
    """End deliveries that have not arrived, or give them to another destination; how many.

    Parameters
    ----------
    settings
        The configuration.
    ledger
        Of the gateway.
    selection
        Of which instances.
    destination
        Whose; it need not be configured any more.
    move_to
        Who gets them instead; None for nobody.
    by, because
        Who wants it, and why.

    Raises
    ------
    ConfigurationError
        There is no destination ``move_to``, or it is the same.
    LedgerUnavailable
        The database is locked, unreachable or full.
    """
    if move_to is not None:
        _require(settings, move_to)
        if move_to == destination:
            raise ConfigurationError(place="the command line", problem="both destinations are the same")
    action = AuditAction.DELIVERY_CANCELLED if move_to is None else AuditAction.DELIVERY_MOVED
    audit = AuditEntry(
        actor=by,
        action=action,
        subject=destination,
        because=because,
        facts={} if move_to is None else {"to": move_to},
    )
    return ledger.corrections.cancel(selection, destination=destination, move_to=move_to, audit=audit)


def orphaned(settings: Settings, ledger: Ledger) -> list[str]:
    """Sentences about deliveries that nobody makes: their destination is not configured any more.

    Raises
    ------
    LedgerUnavailable
        The database cannot be read.
    """
    waiting: dict[str, int] = {}
    for depth in ledger.figures.queues().deliveries:
        if depth.destination not in settings.destinations:
            waiting[depth.destination] = waiting.get(depth.destination, 0) + depth.count
    return [
        f"destinations.{name}: {count} deliveries wait for it, and it is not configured: "
        f"gateway deliveries move {name} ANOTHER, or gateway deliveries cancel {name}"
        for name, count in sorted(waiting.items())
    ]


def _require(settings: Settings, destination: str) -> None:
    if destination not in settings.destinations:
        known = ", ".join(sorted(settings.destinations))
        raise ConfigurationError(place="the command line", problem=f"there is no destination {destination}: {known}")
