"""Verdicts that every kind of destination has: of requests that were not answered, and of stored bytes."""

from __future__ import annotations

from typing import Final

from gateway.deliver.base import Verdict
from gateway.errors import DeliveryFailed, SpoolCorrupt, SpoolUnavailable

#: Of a parcel that cannot be sent at all: nothing that is not what it says goes out.
NOT_WHOLE: Final = Verdict("dead", "spool-corrupt", "the byte ranges do not add up to the instance's length")


def unanswered(error: DeliveryFailed) -> Verdict:
    """The verdict of a request that was not answered, or not as expected."""
    wait = error.facts.get("retry_after")
    retry_after = wait if isinstance(wait, float) else None
    return Verdict("failed", str(error.facts["code"]), str(error.facts["reason"]), retry_after)


def unreadable(error: SpoolUnavailable | SpoolCorrupt) -> Verdict:
    """The verdict of an instance whose stored bytes are not to be had."""
    if isinstance(error, SpoolCorrupt):
        return Verdict("dead", "spool-corrupt", error.message)
    return Verdict("failed", "spool-unreadable", error.message)
