"""What the gateway shows over HTTP."""

from __future__ import annotations

from gateway.console.http import Answer, BadQuery, Doorkeeper, Health, Query, Resource, StatusServer, number, only

__all__ = ["Answer", "BadQuery", "Doorkeeper", "Health", "Query", "Resource", "StatusServer", "number", "only"]
