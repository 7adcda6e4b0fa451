"""Tests with several processes, for either database."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from pathlib import Path

from gateway.ledger import InstanceState, Ledger
from tests.unit.ledger.build import received
from tests.unit.ledger.claimers import open_and_close, work


def claims_survive_a_killed_process(url: str, directory: Path) -> None:
    """Four processes share 2,000 instances; one is killed with a claim in hand; each is finished exactly once."""
    spawn = multiprocessing.get_context("spawn")
    ledger = Ledger.open(url)
    ids = ledger.instances.record([received(number) for number in range(2000)])
    logs = [directory / f"worker-{number}" for number in range(4)]
    victim, *others = (
        spawn.Process(target=work, args=(url, log.name, log, 3 if log is logs[0] else None)) for log in logs
    )
    try:
        victim.start()
        while not (logs[0].exists() and "standing still" in logs[0].read_text()):
            assert victim.is_alive()
            time.sleep(0.01)
        for process in others:
            process.start()
        victim.kill()
        victim.join()
        # The others cannot end before: they see that somebody has a lease.
        assert ledger.deliveries.release(logs[0].name) == 20
        for process in others:
            process.join()
            assert process.exitcode == 0
    finally:
        for process in (victim, *others):
            if process.is_alive():
                process.kill()
    killed, *finished = (log.read_text().split() for log in logs)
    claimed = Counter(int(number) for number in [*killed[:40], *(number for each in finished for number in each)])
    assert claimed == Counter(ids)
    again = {int(number) for number in killed[40:60]}
    assert again < {int(number) for each in finished for number in each}
    status = ledger.figures.status()
    assert status.instance_count(InstanceState.DEIDENTIFIED) == 2000
    account = ledger.accounts.draw()
    assert account.balanced, account.problems
    ledger.close()


def several_may_open_at_once(url: str) -> None:
    """Six processes find an empty database and migrate it at once."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=open_and_close, args=(url,)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
