"""What the gateway is meant to reach on two cores with sender and destination beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.figures import Row
from benchmarks.suite import ASSOCIATIONS, HEADERS, IDLE, NO_DELAY, RECEIVE, ROWS, SHIPPED, WHOLE

#: A row that tells how fast a machine is, and what it gave on the one for which the targets were set.
YARDSTICK: Final = (RECEIVE, "W1", "pynetdicom SCP", f"1 association, {SHIPPED}")
YARDSTICK_RATE: Final = 144

_Rows = Mapping[tuple[str, str, str, str], Row]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a target is reached; ``reached`` is None if it was not measured."""

    target: str
    wanted: str
    found: str
    reached: bool | None


def verdicts(rows: Sequence[Row]) -> Iterator[Verdict]:
    """What the rows say of every target."""
    known = {row.key: row for row in rows}
    for workload, associations, wanted in (("W1", 1, 400), ("W1", 4, 600), ("W3", 1, 500)):
        plural = "" if associations == 1 else "s"
        key = RECEIVE, workload, "gateway", f"{associations} association{plural}, {SHIPPED}"
        yield _rate(known, key, wanted, f"receive {workload}, storescu {SHIPPED}, {associations} association{plural}")
    yield _cpu(known, ("open", "apply"), 0.3, "header work of W1, whole basic profile")
    yield _cpu(known, ("open", "apply", "verify"), 1.0, "the same with verification")
    yield _fastest_peer(rows)
    for workload, kind, wanted in (
        ("W1", "folder", 350), ("W2", "folder", 30), ("W3", "folder", 700), ("W1", "null STOW sink", 450),
    ):  # fmt: skip
        key = WHOLE, workload, kind, f"4 associations, {NO_DELAY}"
        yield _rate(known, key, wanted, _way(workload, kind))
    for row in rows:
        if row.table == WHOLE and row.workload == "W4":
            peak = max(row.memory.values()) / 1e6
            yield Verdict(f"peak memory of any process, one instance of {row.size / 1e9:.1f} GB", "< 200 MB",
                          f"{peak:.0f} MB", peak < 200)  # fmt: skip
    for table, what in (
        (ROWS, "however many rows the ledger has"),
        (ASSOCIATIONS, "however many associations there are"),
    ):
        costs = [sum(row.cpu_ms.values()) for row in rows if row.table == table]
        if len(costs) > 1:
            # To the first row, which has the fewest: that many together cost less than one alone is no growth.
            growth = max(costs[1:]) / costs[0]
            yield Verdict(f"CPU of an instance, {what}", "flat: <= 1.2 times", f"{growth:.2f} times", growth <= 1.2)
    for row in rows:
        if row.table == IDLE:
            core = row.cpu_ms["receive"] / 1000 * row.rate
            yield Verdict(f"CPU of {row.subject}, idle", "< 5 % of a core", f"{core:.1%}", core < 0.05)


def way_target(row: Row) -> str | None:
    """The name of the target that a row of the whole way is about; None if it may be about none."""
    measured = row.table == WHOLE and row.conditions == f"4 associations, {NO_DELAY}"
    return _way(row.workload, row.subject) if measured else None


def _way(workload: str, kind: str) -> str:
    return f"whole way {workload} into {'a' if kind == 'folder' else 'the'} {kind}"


def _rate(known: _Rows, key: tuple[str, str, str, str], wanted: float, target: str) -> Verdict:
    row = known.get(key)
    if row is None:
        return Verdict(target, f">= {wanted:g}/s", "", None)
    return Verdict(target, f">= {wanted:g}/s", f"{row.rate:.0f}/s ({row.least:.0f}-{row.most:.0f})", row.rate >= wanted)


def _cpu(known: _Rows, steps: Sequence[str], wanted: float, target: str) -> Verdict:
    row = known.get((HEADERS, "W1", "gateway", "basic profile"))
    if row is None:
        return Verdict(target, f"<= {wanted:g} ms", "", None)
    found = sum(row.cpu_ms[step] for step in steps)
    return Verdict(target, f"<= {wanted:g} ms", f"{found:.2f} ms", found <= wanted)


def _fastest_peer(rows: Sequence[Row]) -> Verdict:
    target, wanted = "header work beside the fastest Python peer", ">= 10 times"
    table = [row for row in rows if row.table == HEADERS and row.workload == "W1"]
    own = [row.rate for row in table if row.subject == "gateway"]
    others = [row.rate for row in table if row.subject != "gateway"]
    if not own or not others:
        return Verdict(target, wanted, "", None)
    ratio = own[0] / max(others)
    return Verdict(target, wanted, f"{ratio:.1f} times", ratio >= 10)
