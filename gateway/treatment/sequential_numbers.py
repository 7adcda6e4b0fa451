"""Numbers for sequential pseudonyms, from the ledger."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Final

from gateway.errors import RuleFailed, TransientError
from gateway.ledger import Ledger
from gateway.settings.configuration import Settings
from gateway.treatment.resources import open_ledger

__all__ = ["LedgerNumbers", "OfflineNumbers"]

#: Numbers never change, so that those of recent patients need not be asked for again.
_REMEMBERED: Final = 16_384


class LedgerNumbers:
    """The numbers of one project (``gateway.deid.number_source.NumberSource``).

    Parameters
    ----------
    ledger
        open
    project
        name of the project
    """

    def __init__(self, ledger: Ledger, project: str) -> None:
        self._ledger = ledger
        self._project = project
        self._known = lru_cache(maxsize=_REMEMBERED)(self._ask)

    def number(self, purpose: str, token: str) -> int:
        """The number of ``token`` among all of ``purpose``, from 1.

        Raises
        ------
        LedgerUnavailable
            the database is locked, unreachable or full; the instance waits for another try
        """
        return self._known(purpose, token)

    def _ask(self, purpose: str, token: str) -> int:
        return self._ledger.numbers.of(self._project, purpose, token)


class OfflineNumbers:
    """The numbers of one project where no gateway runs: those of the configured ledger all the same.

    A patient has one number, whether the gateway or ``gateway deid`` met him first. The ledger is opened, and made if
    there is none, when the first number is asked for.

    Parameters
    ----------
    settings
        where the ledger is
    project
        name of the project
    """

    def __init__(self, settings: Settings, project: str) -> None:
        self._settings = settings
        self._project = project
        self._numbers: LedgerNumbers | None = None
        self._lock = Lock()

    def number(self, purpose: str, token: str) -> int:
        """The number of ``token`` among all of ``purpose``, from 1.

        Raises
        ------
        RuleFailed
            the ledger cannot be used, so that there is no number
        """
        try:
            with self._lock:
                if self._numbers is None:
                    self._numbers = LedgerNumbers(open_ledger(self._settings), self._project)
            return self._numbers.number(purpose, token)
        except TransientError as error:
            raise RuleFailed(where="a number of the ledger", reason=error.message) from None
