"""Where sequential pseudonyms get their numbers."""

from __future__ import annotations

from typing import Protocol

__all__ = ["NumberSource"]


class NumberSource(Protocol):
    """Gives numbers that never change; the ledger's are one."""

    def number(self, purpose: str, token: str) -> int:
        """The number of ``token`` among all of ``purpose``, from 1; the same whenever and by whomever it is asked for.

        Parameters
        ----------
        purpose
            what is numbered; each purpose has numbers of its own
        token
            a keyed token of what has the number
        """
