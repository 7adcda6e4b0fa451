"""The command line: thin commands over the other rooms."""

from __future__ import annotations

__all__: list[str] = []
