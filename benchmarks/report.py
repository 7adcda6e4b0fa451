"""What was measured, as text: tables for a terminal, JSON to compare, docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Row
from benchmarks.machine import VERSION
from benchmarks.steady import ATTEMPTS
from benchmarks.suite import ASSOCIATIONS, BOUNDS, HEADERS, IDLE, RECEIVE, STAGES, TABLES, WHOLE
from benchmarks.targets import YARDSTICK, YARDSTICK_RATE, verdicts, way_target
from benchmarks.workloads import DESCRIPTIONS

_COLUMNS: Final = (
    "workload", "what", "conditions", "instances/s", "min-max", "MB/s", "CPU ms per instance", "p50 ms", "p99 ms",
    "peak MB", "ratio", "loop ms",
)  # fmt: skip
_NUMBERS: Final = frozenset(("instances/s", "min-max", "MB/s", "p50 ms", "p99 ms", "peak MB", "ratio", "loop ms"))
#: The title of what the profiler finds.
HOT: Final = "Where the gateway's time goes"
#: Table -> (the row that the others are compared with, what a ratio is of).
_REFERENCE: Final = {RECEIVE: "pynetdicom SCP", HEADERS: "dicognito"}
#: Tables whose rows are ordered by what they are about; those of the others as they were measured.
_BY_WORKLOAD: Final = frozenset((RECEIVE, HEADERS, STAGES, WHOLE))

_NOTES: Final = {
    BOUNDS: "What the disk and the kernel allow one process that does nothing else.",
    RECEIVE: "From the start of storescu to its end; durable with the gateway, not synced with the others. Latency is "
    "from command to answer. The ratio is to pynetdicom's SCP on its defaults under the same sender. With an "
    "association each, a storescu is started for each instance, four at a time, which bounds the rate: CPU tells more.",
    ASSOCIATIONS: "The same number of instances in all rows, at least 125 in an association. With one association the "
    "receiver often waits for its sender, from four on hardly ever: what their number costs is seen from there on. "
    "What an association costs by itself is among the rows of receiving: an association each.",
    HEADERS: "CPU time of header work alone: instances per second of CPU. The ratio is to dicognito.",
    WHOLE: "From the first byte of the sender to the last confirmation. Into a folder each instance is written and "
    "synced twice, in the spool and in the folder: the disk allows half the rate of the bounds above.",
}

_PREFACE: Final = f"""# Performance

Written by `scripts/benchmark --document`. All programs, senders and destinations included, share the machine below.
Every figure of the gateway is with `durability: full`: the file and its directory entry are synced before an instance
is acknowledged, the outputs in a folder before they are confirmed. A rate is the median of the runs.

Loop: milliseconds of CPU that a million turns of an empty loop of Python would have taken during the runs, by half a
millisecond of it ten times a second on each core. A virtual machine has phases, of seconds or hours, in which others
use the same cores; rows can be compared where that is alike. The loop takes half as long again where cores rest between
the beats, as beside a sender that waits. Where there is a limit, runs with a longer loop did not count and were tried
again, up to {ATTEMPTS} times; if none counted, the one with the shortest loop was taken. Rows of a slow phase may have
been measured once more, with a lower limit: the later result stands, whatever it is.

Each run has directories of its own, far from those of the others on ext4 (`chattr +T`), and none of many files that it
wrote is removed before the end, though emptied if room is short: for some minutes after many files were removed, ext4
without a journal takes up to 0.75 ms of a processor to create one beside them instead of 0.02 ms, and two or three are
created for each instance.

Before each run a gigabyte of memory is used once and given back. The host of a virtual machine may have taken it, and
to fetch it again makes writing a file six times as dear.
"""

_AGAIN: Final = """## Measuring again

```
scripts/benchmark                          # everything, in about half an hour
scripts/benchmark --quick                  # a look, in less than three
scripts/benchmark --only "the whole way"   # some of the tables
scripts/benchmark --only "the whole way/W1"
scripts/benchmark --json after.json        # written after each row: --resume goes on
scripts/benchmark --steady 17              # repeats what a slow phase of a virtual machine has spoilt
scripts/benchmark --tell some.json others.json --document
scripts/benchmark --compare before.json after.json
```

Workloads are generated from fixed seeds and kept in `~/.cache/deid-gateway-benchmark` or where `--cache` says. The
working files go below `--work`: choose the file system that the gateway will use, with 30 GB free. They are removed at
the end.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A measurement: facts of the machine, rows, and where the gateway's CPU went, by process."""

    facts: Mapping[str, str]
    rows: Sequence[Row]
    hot: Mapping[str, Sequence[tuple[float, str]]]

    def write_json(self, path: Path) -> None:
        """Write the account to a file."""
        values = {"facts": dict(self.facts), "rows": [row.as_json() for row in self.rows], "hot": dict(self.hot)}
        path.write_text(json.dumps(values, indent=1), encoding="utf-8")

    @classmethod
    def joined(cls, accounts: Sequence[Self]) -> Self:
        """Several accounts of the same machine as one; of a row that several have, the last counts.

        The facts are the first one's, and what was measured of another version of the gateway.
        """
        rows = {row.key: row for account in accounts for row in account.rows}
        hot = {name: lines for account in accounts for name, lines in account.hot.items()}
        facts = dict(accounts[0].facts)
        for account in accounts[1:]:
            if facts[VERSION] != account.facts[VERSION]:
                what = dict.fromkeys(f"{row.table}, {row.conditions}" for row in account.rows)
                facts["; ".join([*what, *account.hot])] = f"{VERSION} {account.facts[VERSION]}"
        return cls(facts=facts, rows=list(rows.values()), hot=hot)

    @classmethod
    def read_json(cls, path: Path) -> Self:
        """Read what ``write_json`` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        hot = {name: [(float(share), str(line)) for share, line in lines] for name, lines in values["hot"].items()}
        return cls(facts=values["facts"], rows=[Row.from_json(row) for row in values["rows"]], hot=hot)


def show(account: Account, console: Console) -> None:
    """Print an account."""
    for title, lines in _tables(account.rows):
        table = Table(title=title, title_justify="left")
        for column in _used(lines):
            table.add_column(column, justify="right" if column in _NUMBERS else "left")
        for line in lines:
            table.add_row(*(line[column] for column in _used(lines)))
        console.print(table)
    table = Table(title="Targets", title_justify="left")
    for column in ("target", "wanted", "found", ""):
        table.add_column(column)
    for verdict in verdicts(account.rows):
        if verdict.reached is not None:
            table.add_row(verdict.target, verdict.wanted, verdict.found, "" if verdict.reached else "not reached")
    console.print(table)


def show_comparison(before: Account, after: Account, console: Console) -> None:
    """Print what changed between two accounts: rates, and CPU of all processes of the gateway together."""
    table = Table(title="Before and after", title_justify="left")
    for column in (
        "table",
        "workload",
        "what",
        "conditions",
        "before/s",
        "after/s",
        "ratio",
        "CPU ms",
        "after",
        "ratio",
    ):
        table.add_column(column)
    known = {row.key: row for row in before.rows}
    for row in after.rows:
        old = known.get(row.key)
        if old is None:
            continue
        cpu, old_cpu = _own_cpu(row), _own_cpu(old)
        table.add_row(
            *row.key, f"{old.rate:.4g}", f"{row.rate:.4g}", f"{row.rate / old.rate:.2f}",
            f"{old_cpu:.3f}", f"{cpu:.3f}", f"{cpu / old_cpu:.2f}" if old_cpu else "",
        )  # fmt: skip
    console.print(table)


def document(account: Account) -> str:
    """The text of docs/performance.md."""
    parts = [
        _PREFACE,
        "## The machine\n",
        _markdown(("", ""), [(name, value) for name, value in account.facts.items()]),
    ]
    parts += ["## Workloads\n", _markdown(("workload", "instances"), list(DESCRIPTIONS.items()))]
    parts += ["## Targets\n", _markdown(
        ("target", "wanted", "found", "reached"),
        [
            (verdict.target, verdict.wanted, verdict.found or "not measured",
             "" if verdict.reached is None else "yes" if verdict.reached else "no")
            for verdict in verdicts(account.rows)
        ],
    )]  # fmt: skip
    parts += _comparison(account.rows)
    parts += _limits(account.rows, int(account.facts["cores"]))
    for title, lines in _tables(account.rows):
        columns = _used(lines)
        parts.append(f"## {title}\n")
        if title in _NOTES:
            parts.append(f"{_NOTES[title]}\n")
        parts.append(_markdown(columns, [tuple(line[column] for column in columns) for line in lines]))
    if account.hot:
        parts.append(f"## {HOT}\n")
        parts.append("Samples of threads at work (py-spy), each process alone: share and function.\n")
        for process, hot in account.hot.items():
            parts.append(_markdown((process, "share"), [(f"`{line}`", f"{share:.0%}") for share, line in hot]))
    parts.append(_AGAIN)
    return "\n".join(parts)


def _tables(rows: Sequence[Row]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for title in TABLES:
        members = [row for row in rows if row.table == title]
        if members:
            ordered = sorted(members, key=_place) if title in _BY_WORKLOAD else members
            yield title, [_line(row, members) for row in ordered]


def _place(row: Row) -> tuple[bool, str, str, str]:
    """Where a row stands whenever it was measured: peers last."""
    return row.table in _REFERENCE and row.subject != "gateway", row.workload, row.subject, row.conditions


def _comparison(rows: Sequence[Row]) -> Iterator[str]:
    """How this machine compares with the one for which the targets were set."""
    for row in rows:
        if row.key == YARDSTICK:
            yield (
                "The targets were set on another machine of two cores. There pynetdicom's SCP on its defaults, "
                f"under the same sender, receives {YARDSTICK_RATE} instances of W1 a second on one association; "
                f"here {row.rate:.0f}, {row.rate / YARDSTICK_RATE:.2f} of that. Rates and CPU times are to be read by "
                "it.\n"
            )


def _limits(rows: Sequence[Row], cores: int) -> Iterator[str]:
    """What the processors allow where the whole way misses its target."""
    missed = {verdict.target for verdict in verdicts(rows) if verdict.reached is False}
    for row in rows:
        total = sum(row.cpu_ms.values())
        if way_target(row) in missed and "sender" in row.cpu_ms:
            yield (
                f"{row.workload}, {row.subject}: all programs together take {total:.1f} ms of CPU for an instance, of "
                f"which the sender {row.cpu_ms['sender']:.1f} ms. {cores} cores that never wait do that "
                f"{1000 * cores / total:.0f} times a second; {row.rate:.0f} were found.\n"
            )


def _line(row: Row, table: Sequence[Row]) -> dict[str, str]:
    idle = row.table == IDLE
    conditions = f"{row.conditions}, {row.note}" if row.note else row.conditions
    return {
        "workload": row.workload,
        "what": row.subject,
        "conditions": conditions,
        "instances/s": "" if idle else f"{row.rate:.3g}" if row.rate < 100 else f"{row.rate:.0f}",
        "min-max": "" if idle or row.runs == 1 else f"{row.least:.3g}-{row.most:.3g}",
        "MB/s": f"{row.bytes_per_second / 1e6:.0f}" if row.size and row.table != HEADERS else "",
        "CPU ms per instance": ", ".join(f"{name} {value:.2f}" for name, value in row.cpu_ms.items()),
        "p50 ms": "" if row.p50_ms is None else f"{row.p50_ms:.1f}",
        "p99 ms": "" if row.p99_ms is None else f"{row.p99_ms:.1f}",
        "peak MB": ", ".join(f"{name} {value / 1e6:.0f}" for name, value in row.memory.items()),
        "ratio": _ratio(row, table),
        "loop ms": _loop(row),
    }


def _loop(row: Row) -> str:
    if not row.loop_ms:
        return ""
    return f"{row.loop_ms:.0f}" + (f" (limit {row.limit_ms:g})" if row.limit_ms else "")


def _ratio(row: Row, table: Sequence[Row]) -> str:
    """To the reference of the table, under the same conditions where it has such a row."""
    reference = [
        other.rate
        for other in table
        if other.subject == _REFERENCE.get(row.table)
        and other.workload == row.workload
        and (row.table == HEADERS or other.conditions == row.conditions)
    ]
    return f"{row.rate / reference[0]:.1f}" if reference else ""


def _used(lines: Sequence[Mapping[str, str]]) -> list[str]:
    return [column for column in _COLUMNS if any(line[column] for line in lines)]


def _own_cpu(row: Row) -> float:
    return sum(value for name, value in row.cpu_ms.items() if name not in ("destination", "sender"))


def _markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [columns, ["---:" if column in _NUMBERS else "---" for column in columns], *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows) + "\n"
