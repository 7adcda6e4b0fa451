"""Why a message was not taken: a closed list."""

from __future__ import annotations

from typing import Final

__all__ = ["REASONS"]

REASONS: Final = frozenset(
    {"busy", "credentials", "no-encryption", "protocol", "redirect", "refused", "timeout", "tls", "unreachable"}
)
