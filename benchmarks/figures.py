"""What is measured, and what is told of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One repeat.

    Attributes
    ----------
    instances, size: how many instances and bytes it was about
    seconds: wall-clock time; for work without waiting the CPU time
    cpu: seconds of CPU by process or step
    latencies: seconds of single instances, if they are known
    memory: highest resident bytes by process
    window: when it was measured, by ``time.monotonic``; None if that is the whole call
    loop: milliseconds of CPU of a loop of Python meanwhile, see ``pulse``; 0 if that was not measured
    """

    instances: int
    size: int
    seconds: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    latencies: Sequence[float] = ()
    memory: Mapping[str, int] = field(default_factory=dict)
    window: tuple[float, float] | None = None
    loop: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a table: the median of its runs, with the least and the most.

    Attributes
    ----------
    table: which table it belongs to
    workload: W1 to W5
    subject: who was measured
    conditions: under which conditions
    instances, size: of one run
    rate, least, most: instances per second
    cpu_ms: CPU milliseconds per instance by process or step
    p50_ms, p99_ms: latency in milliseconds over all runs
    memory: highest resident bytes by process
    note: what else must be known
    loop_ms: a loop of Python during the runs: how fast a processor was then; 0 if that was not measured
    limit_ms: what it had to do for a run to count, see ``steady``; None if all counted
    """

    table: str
    workload: str
    subject: str
    conditions: str
    instances: int
    size: int
    runs: int
    rate: float
    least: float
    most: float
    cpu_ms: Mapping[str, float]
    p50_ms: float | None
    p99_ms: float | None
    memory: Mapping[str, int]
    note: str = ""
    loop_ms: float = 0.0
    limit_ms: float | None = None

    @classmethod
    def of(
        cls, runs: Sequence[Run], *, table: str, workload: str, subject: str, conditions: str, note: str = "",
        limit_ms: float | None = None,
    ) -> Self:  # fmt: skip
        """The row that tells of ``runs``, of which there is at least one."""
        rates = sorted(run.instances / run.seconds for run in runs)
        latencies = [latency for run in runs for latency in run.latencies]
        steps = dict.fromkeys(step for run in runs for step in run.cpu)
        processes = dict.fromkeys(process for run in runs for process in run.memory)
        return cls(
            table=table,
            workload=workload,
            subject=subject,
            conditions=conditions,
            instances=runs[0].instances,
            size=runs[0].size,
            runs=len(runs),
            rate=median(rates),
            least=rates[0],
            most=rates[-1],
            cpu_ms={step: median(run.cpu.get(step, 0.0) / run.instances * 1000 for run in runs) for step in steps},
            p50_ms=percentile(latencies, 50) * 1000 if latencies else None,
            p99_ms=percentile(latencies, 99) * 1000 if latencies else None,
            memory={process: max(run.memory.get(process, 0) for run in runs) for process in processes},
            note=note,
            loop_ms=median(run.loop for run in runs),
            limit_ms=limit_ms,
        )

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What the same row of another measurement has as well."""
        return self.table, self.workload, self.subject, self.conditions

    @property
    def bytes_per_second(self) -> float:
        """Throughput at the median rate."""
        return self.rate * self.size / self.instances

    def as_json(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The row that ``as_json`` gave."""
        return cls(**values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
