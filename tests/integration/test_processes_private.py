"""No process of a running gateway lets another of its account into its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fixtures.gateway import gateway_server

#: Root without its capabilities is an account like any other.
PLAIN = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
READ = """
import sys
for pid in sys.argv[1:]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            file.read()
        with open(f"/proc/{pid}/mem", "rb"):
            print(pid)
    except PermissionError:
        pass
"""


def descendants(pid: int) -> list[int]:
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="ascii").split()
    ]
    return [pid, *(each for child in children for each in descendants(child))]


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_p9_the_memory_of_every_process_is_closed(tmp_path: Path) -> None:
    with gateway_server(tmp_path, wrap=lambda run: [*PLAIN, *run]) as running:
        processes = descendants(running.process.pid)
        found = subprocess.run(
            [*PLAIN, sys.executable, "-c", READ, *map(str, processes)], capture_output=True, text=True, check=True
        )
        readable = [int(pid) for pid in found.stdout.split()]
        # The supervisor, the process that children are forked from, and they.
        assert len(processes) >= 6
        # All but Python's own are forks of the first: none imports everything again.
        assert {command(pid) for pid in processes if b"resource_tracker" not in command(pid)} == {command(processes[0])}
        # What Python itself starts holds nothing of an instance; it also shows that reading is possible.
        assert [b"resource_tracker" in command(pid) for pid in readable] == [True]
        for pid in set(processes) - set(readable):
            limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
            assert next(line for line in limits.splitlines() if "core file" in line).split()[4:6] == ["0", "0"]
            assert "Umask:\t0077" in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
