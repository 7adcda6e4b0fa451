"""What the gateway shows over HTTP."""

from __future__ import annotations

from gateway.console.http import Health, StatusServer

__all__ = ["Health", "StatusServer"]
