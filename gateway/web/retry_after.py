"""How long a server asks to be left alone."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: Longer is not believed.
LONGEST_SECONDS: Final = 24 * 3600.0


def retry_after(value: str, *, now: datetime) -> float | None:
    """Seconds of a Retry-After field, a number or a date (RFC 9110 10.2.3); None if it is neither.

    Parameters
    ----------
    value
        of the field; empty if there is none
    now
        the present time
    """
    value = value.strip()
    if value.isdecimal() and value.isascii() and len(value) <= 9:
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
            # A date without a zone, "-0000", is meant as UTC.
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            seconds = (moment - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_SECONDS)
