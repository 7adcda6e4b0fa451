"""What the processes of the multi-process tests do; importable by a process that knows nothing yet."""

from __future__ import annotations

import time
from pathlib import Path

from gateway.ledger import Ledger
from tests.unit.ledger.build import deidentified


def work(url: str, owner: str, log: Path, stop_after: int | None) -> None:
    """Claim and finish until nothing waits and nobody has a lease; note every id that was claimed.

    With ``stop_after``, stand still with a claim in hand after so many claims, until killed.
    """
    ledger = Ledger.open(url)
    claims = 0
    with log.open("a", buffering=1) as notes:
        while True:
            claimed = ledger.instances.claim(owner, limit=20, lease_seconds=3600)
            claims += bool(claimed)
            for each in claimed:
                notes.write(f"{each.instance_id}\n")
            if claims == stop_after:
                notes.write("standing still\n")
                time.sleep(3600)
            if claimed:
                results = ledger.instances.finish(owner, [deidentified(each.instance_id) for each in claimed])
                assert not any(result.lost for result in results)
                continue
            figures = ledger.figures.queues()
            if not figures.received and not figures.leased:
                break
            time.sleep(0.01)
    ledger.close()


def open_and_close(url: str) -> None:
    """Open the ledger, which migrates it."""
    with Ledger.open(url) as ledger:
        ledger.figures.status()
