"""What the gateway shows over HTTP."""

from __future__ import annotations

from gateway.console.http import (
    ASKED_BY,
    Answer,
    BadQuery,
    Doorkeeper,
    Health,
    Query,
    Resource,
    StatusServer,
    number,
    only,
)

__all__ = [
    "ASKED_BY",
    "Answer",
    "BadQuery",
    "Doorkeeper",
    "Health",
    "Query",
    "Resource",
    "StatusServer",
    "number",
    "only",
]
