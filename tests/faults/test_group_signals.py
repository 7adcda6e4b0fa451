"""Every process of the gateway is told to end at once, as systemd, a container and a closing terminal do."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.fixtures.gateway import gateway_server


def children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="ascii").split()
    ]


def holds(pid: int, number: signal.Signals) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    blocked = next(line for line in lines if line.startswith("SigBlk:")).split()[1]
    return bool(int(blocked, 16) >> (number - 1) & 1)


def test_p14_the_end_of_all_is_no_death_of_any(tmp_path: Path) -> None:
    with gateway_server(tmp_path) as running:
        pid = running.process.pid
        # The other child is Python's own, and has none.
        (server,) = [each for each in children(pid) if children(each)]
        working = children(server)
        assert len(working) >= 4
        for number in (signal.SIGHUP, signal.SIGTERM):
            assert holds(server, number)
            assert not any(holds(each, number) for each in working)
            # Who forks the children is told first: with it, the supervisor would lose them.
            os.kill(server, number)
        assert running.get("/readyz").ok
        for each in (*working, pid):
            os.kill(each, signal.SIGTERM)
        assert running.process.stop(120) == 0
    log = (tmp_path / "gateway.log").read_text(encoding="utf-8")
    assert "process died" not in log
    assert "process killed" not in log
