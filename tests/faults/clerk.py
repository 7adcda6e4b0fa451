"""``python -m tests.faults.clerk URL``: asks a ledger where it is visible, one line of JSON per question.

SQLite resolves paths by itself, and so cannot be reached through another process's mounts.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from typing import Final

from gateway.ledger import Ledger

_URL: Final = sys.argv[1]


def states() -> object:
    """Instances by state."""
    with Ledger.open(_URL) as ledger:
        status = ledger.figures.status()
    return {row.state.value: row.count for row in status.instances}


def balance() -> object:
    """How many instances were recorded, and what does not balance."""
    with Ledger.open(_URL) as ledger:
        account = ledger.accounts.draw()
    return {"recorded": account.recorded, "problems": list(account.problems)}


def resume() -> object:
    """Send all held instances through the workers again."""
    with Ledger.open(_URL) as ledger:
        ledger.reviews.resume([row.instance_id for row in ledger.holds.instances()], by="operator")
    return None


def lock() -> object:
    """Take the write lock and keep it."""
    global _other  # noqa: PLW0603
    _other = sqlite3.connect(_URL.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
    _other.execute("BEGIN IMMEDIATE")
    return None


def unlock() -> object:
    """Give the write lock back."""
    assert _other is not None
    _other.close()
    return None


_other: sqlite3.Connection | None = None
_QUESTIONS: Final[dict[str, Callable[[], object]]] = {
    "states": states,
    "balance": balance,
    "resume": resume,
    "lock": lock,
    "unlock": unlock,
}

if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_QUESTIONS[line.strip()]()) + "\n")
        sys.stdout.flush()
