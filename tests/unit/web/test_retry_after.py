"""How long a server asks to be left alone (RFC 9110 10.2.3)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.web.retry_after import retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        # longer than a day is not believed
        ("999999999", 86400.0),
        ("Tue, 01 Dec 2026 12:01:30 GMT", 90.0),
        # no zone means UTC
        ("Tue, 01 Dec 2026 12:01:30 -0000", 90.0),
        # over already
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0.0),
        ("Tue, 01 Dec 2099 12:00:00 GMT", 86400.0),
        # no time at all
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
        ("9" * 400, None),
        ("Tue, 99 Dec 2026 12:00:00 GMT", None),
    ],
)
def test_the_field(value: str, seconds: float | None) -> None:
    assert retry_after(value, now=datetime(2026, 12, 1, 12, tzinfo=UTC)) == seconds
