"""What the processes of a gateway hold, over time: resident memory and descriptors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

_RESIDENT: Final = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Size:
    """What a process held at one moment."""

    resident_bytes: int
    descriptors: int


@dataclass(slots=True)
class Course:
    """What one process held from its start on."""

    pid: int
    sizes: list[Size] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a process went on after its warm-up.

    Attributes
    ----------
    before, after: resident bytes in the first and the last part after the warm-up, medians
    most: the most that it ever held
    descriptors_before, descriptors_after: the fewest in the same parts: what comes and goes is not in them
    faults: why it is not flat
    """

    before: int
    after: int
    most: int
    descriptors_before: int
    descriptors_after: int
    faults: tuple[str, ...]


def descendants(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                yield from descendants(int(child))


def size_of(pid: int) -> Size | None:
    """What a process holds now; None if it has ended."""
    try:
        found = _RESIDENT.search(Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return None
    return None if found is None else Size(int(found[1]) * 1024, descriptors)


def name_of(pid: int, workers: Mapping[int, str]) -> str | None:
    """What a process of the gateway is; None for one that comes and goes."""
    if pid in workers:
        return workers[pid]
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"resource_tracker" in command:
            return "resource tracker"
        parent = int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
        if b"decoder.py" in command:
            return f"codecs of {workers[parent]}" if parent in workers else None
        # A fork of the supervisor, as are the workers, whose parent it is.
        if workers.get(parent) == "supervisor" and command == Path(f"/proc/{parent}/cmdline").read_bytes():
            return "fork server"
    return None


def judge(sizes: Sequence[Size], *, warm_up: int, tolerance: float) -> Verdict:
    """Whether a process stayed as it was after its warm-up.

    Parameters
    ----------
    sizes: at equal distances in time
    warm_up: how many of them do not count
    tolerance: how much of its memory it may gain, such as 0.05
    """
    counted = sizes[warm_up:]
    part = max(1, len(counted) // 4)
    first, last = counted[:part], counted[-part:]
    before, after = (round(median(one.resident_bytes for one in some)) for some in (first, last))
    opened, still = (min(one.descriptors for one in some) for some in (first, last))
    faults = []
    if after > before * (1 + tolerance):
        faults.append(f"memory +{after / before - 1:.1%}")
    if still > opened:
        faults.append(f"{still - opened} descriptors more")
    return Verdict(before, after, max(one.resident_bytes for one in sizes), opened, still, tuple(faults))
