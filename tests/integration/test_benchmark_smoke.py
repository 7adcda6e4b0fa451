"""The benchmark works, and the gateway is not slower than pynetdicom as its documentation shows it.

Only ratios of two measurements of the same run decide, with generous margins, and of CPU time where that is possible:
it hardly depends on what else the machine does.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from benchmarks import growth, headers, machine, receivers, stages, steady, suite
from benchmarks import pulse as pulses
from benchmarks.__main__ import measure
from benchmarks.figures import Row, Run
from benchmarks.programs import ROOT
from benchmarks.report import Account, document
from benchmarks.selection import Selection
from benchmarks.senders import EACH
from benchmarks.suite import ASSOCIATIONS, HEADERS, RECEIVE, ROWS, WHOLE
from benchmarks.targets import verdicts
from benchmarks.workloads import Workload, workload
from tests.fixtures.ports import wait_until


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """Small MR images: what a message costs, not what its bytes cost."""
    return workload(tmp_path_factory.mktemp("workloads"), "W3", 100)


@pytest.fixture(scope="module")
def plain(small: Workload, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The reference: pynetdicom's SCP on its defaults."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    return receivers.measure(folder, "pynetdicom SCP", small, associations=1, no_delay=True)


def each(run: Run) -> float:
    """CPU seconds of the gateway's processes per instance."""
    return sum(seconds for name, seconds in run.cpu.items() if name != "destination") / run.instances


def test_receiving_costs_less_than_the_plain_receiver(small: Workload, plain: Run, tmp_path: Path) -> None:
    run = stages.receive(tmp_path / "run", small, associations=1, no_delay=True)
    assert len(run.latencies) == len(small.files)
    assert each(run) < each(plain)


def test_an_association_costs_less_than_the_plain_receivers(small: Workload, tmp_path: Path) -> None:
    """storescu proposes 128 presentation contexts, which the plain receiver takes as long for as for 50 images."""
    few = small.take(12)
    run = stages.receive(tmp_path / "run", few, associations=EACH, no_delay=True)
    plain = receivers.measure(tmp_path / "plain", "pynetdicom SCP", few, associations=EACH, no_delay=True)
    assert len(run.latencies) == len(few.files)
    assert each(run) < each(plain) / 2


def test_the_same_instances_are_sent_again_where_more_are_wanted(small: Workload) -> None:
    assert [len(small.at_least(count).files) for count in (1, 100, 101, 450)] == [100, 100, 200, 500]


def test_senders_do_not_wait_for_delayed_acknowledgements(small: Workload, tmp_path: Path) -> None:
    few = small.take(40)
    shipped = stages.receive(tmp_path / "shipped", few, associations=1, no_delay=False)
    no_delay = stages.receive(tmp_path / "no-delay", few, associations=1, no_delay=True)
    # With the stall of 40 ms an instance the ratio is a tenth.
    assert shipped.seconds < 3 * no_delay.seconds


def test_the_whole_way_costs_a_few_plain_receivers_at_most(small: Workload, plain: Run, tmp_path: Path) -> None:
    growth.fill(tmp_path / "filled", 500)
    run = growth.rows(tmp_path / "run", small, tmp_path / "filled")
    assert len(run.latencies) == len(small.files)
    assert each(run) < 4 * each(plain)


def test_idle_associations_are_opened_and_measured(tmp_path: Path) -> None:
    run = growth.idle(tmp_path / "run", associations=5, seconds=0.2)
    assert set(run.cpu) == {"receive"}


@pytest.mark.parametrize(
    ("costs", "found", "reached"),
    [
        ([0.5, 0.4, 0.45], "0.90 times", True),  # many together cost less than one
        ([0.5, 0.59, 0.55], "1.18 times", True),
        ([0.5, 0.5, 0.7], "1.40 times", False),
    ],
)
def test_growth_is_judged_from_the_fewest_on(costs: list[float], found: str, reached: bool) -> None:
    rows = [
        Row.of(
            [Run(instances=10, size=1, seconds=1.0, cpu={"receive": cost / 100})],
            table=ASSOCIATIONS, workload="W3", subject="receive", conditions=str(number),
        )
        for number, cost in enumerate(costs)
    ]  # fmt: skip
    (verdict,) = [one for one in verdicts(rows) if "associations there are" in one.target]
    assert (verdict.found, verdict.reached) == (found, reached)


class _Loops:
    """Gives the loops of runs in their order."""

    def __init__(self, *loops: float) -> None:
        self._loops = iter(loops)

    def mean(self, _started: float, _ended: float) -> float:
        return next(self._loops)


@pytest.mark.parametrize(
    ("loops", "limit_ms", "measured", "number"),
    [
        ([40], None, 1, 1),  # every run counts
        ([16], 17, 1, 1),
        ([30, 16], 17, 2, 2),  # the first was slow
        ([30, 20, *[25] * (steady.ATTEMPTS - 2)], 17, steady.ATTEMPTS, 2),  # none: the least slow one is taken
    ],
)
def test_a_run_counts_if_the_processor_had_its_speed(
    loops: list[float], limit_ms: float | None, measured: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    runs: list[Run] = []

    def measure() -> tuple[Run, ...]:
        runs.append(Run(instances=len(runs) + 1, size=1, seconds=1.0))
        return (runs[-1],)

    # The processor seems to be slow once, which is waited for.
    monkeypatch.setattr(steady, "loop_ms", iter([30, *[15] * measured]).__next__)
    monkeypatch.setattr(steady, "_PAUSE_SECONDS", 0)
    pulse = cast(pulses.Pulse, _Loops(*loops))
    (run,) = steady.Steadiness(pulse=pulse, limit_ms=limit_ms, tell=said.append).counted(measure)
    assert (len(runs), run.instances, run.loop) == (measured, number, loops[number - 1])
    assert len(said) == sum(1 for loop in loops if limit_ms and loop > limit_ms)


def test_several_runs_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "loop_ms", lambda: 15)
    pulse = cast(pulses.Pulse, _Loops(15, 30, 16, 15))
    steadiness = steady.Steadiness(pulse=pulse, limit_ms=17, tell=lambda _said: None)
    pair = steadiness.counted(lambda: (Run(instances=1, size=1, seconds=1.0), Run(instances=1, size=1, seconds=1.0)))
    assert [run.loop for run in pair] == [16, 15]


def test_the_pulse_tells_a_time_from_others() -> None:
    with pulses.Pulse() as pulse:
        begun = time.monotonic()
        beats, loops = pulse._beats, pulse._loops
        wait_until(lambda: pulse.mean(begun, time.monotonic()) > 0 and len(beats) >= 12, what="beats")
        for loop in loops:
            loop.kill()
            loop.wait()
        ended = time.monotonic()
        found = pulse.mean(begun, ended)
        assert all(took > 0 for _, took in beats)
        assert found == pytest.approx(sum(took for _, took in beats) / len(beats))
        middle = sorted(at for at, _ in beats)[len(beats) // 2]
        late = [took for at, took in beats if at >= middle - pulses.PAUSE_SECONDS]
        assert pulse.mean(middle, ended) == pytest.approx(sum(late) / len(late))
        # Where none falls into a time, the last one before it tells.
        assert pulse.mean(ended + 1, ended + 1) == beats[-1][1]
        assert pulse.mean(0.0, begun - 1) == 0


def test_the_pulse_ends_with_the_process_that_takes_it() -> None:
    code = "import os, time; from benchmarks.pulse import Pulse; print(Pulse()._loops[0].pid, flush=True)"
    taker = subprocess.run(
        [sys.executable, "-c", f"{code}; os._exit(1)"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    beating = Path(f"/proc/{int(taker.stdout)}/cmdline")
    # Nobody may wait for it: then its line is empty.
    wait_until(lambda: not beating.exists() or not beating.read_bytes(), what="the loop ends")


@pytest.mark.parametrize(
    ("words", "tables", "rows"),
    [
        ([], {RECEIVE, WHOLE, ASSOCIATIONS}, {"r1", "w1", "w2", "g"}),
        (["whole"], {WHOLE}, {"w1", "w2"}),
        (["Growth: associations"], {ASSOCIATIONS}, {"g"}),
        (["whole way/W1 null stow sink, 4"], {WHOLE}, {"w2"}),
        (["receive", "WHOLE/W1 folder, 4 "], {RECEIVE, WHOLE}, {"r1", "w1"}),
        (["nothing"], set(), set()),
    ],
)
def test_tables_and_rows_are_selected_by_parts_of_their_names(
    words: list[str], tables: set[str], rows: set[str]
) -> None:
    keys = {
        "r1": (RECEIVE, "W1", "gateway", "4 associations, TCP_NODELAY"),
        "w1": (WHOLE, "W1", "folder", "4 associations, TCP_NODELAY"),
        "w2": (WHOLE, "W1", "null STOW sink", "4 associations, TCP_NODELAY"),
        "g": (ASSOCIATIONS, "W3", "receive", "4 associations, TCP_NODELAY"),
    }
    selection = Selection(words=words)
    assert {table for table in (RECEIVE, WHOLE, ASSOCIATIONS) if selection.has_table(table)} == tables
    assert {name for name, key in keys.items() if selection.has_row(key)} == rows
    assert not any(replace(selection, known=frozenset(keys.values())).has_row(key) for key in keys.values())


def test_a_measurement_goes_on_where_it_ended(tmp_path: Path) -> None:
    kept = tmp_path / "account.json"
    measured = partial(measure, quick=True, cache=tmp_path / "cache", work=tmp_path, keep=kept)
    measured(Selection(words=["bounds/empty"]))
    first = Account.read_json(kept)
    known = frozenset(row.key for row in first.rows)
    measured(Selection(words=["bounds/empty", "bounds/12 kB"], known=known), known=first)
    both = Account.read_json(kept)
    assert [row.workload for row in both.rows] == ["empty", "12 kB"]
    assert both.rows[0] == first.rows[0]


def test_what_runs_left_is_emptied_when_room_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "_FEW_FILES", 1)
    monkeypatch.setattr(suite, "_ROOM", 0)
    steadiness = steady.Steadiness(pulse=cast(pulses.Pulse, _Loops()), limit_ms=None, tell=print)
    one = suite.Suite(cache=tmp_path, work=tmp_path / "work", scale=suite.QUICK, tell=print, steadiness=steadiness)
    folders = [one.folder() for _ in range(3)]
    for folder, count in zip(folders, (2, 2, 1), strict=True):
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / str(number)).write_bytes(b"12")
        if folder == folders[1]:
            monkeypatch.setattr(suite, "_ROOM", 1 << 62)
        one._leave(folder)
    assert [path.stat().st_size for folder in folders[:2] for path in folder.iterdir()] == [0] * 4
    assert not folders[2].exists()


def test_rows_stand_in_an_order_of_their_own_whenever_they_were_measured(tmp_path: Path) -> None:
    measured = [
        (RECEIVE, "W1", "Orthanc"), (RECEIVE, "W3", "gateway"), (RECEIVE, "W1", "gateway"),
        (ROWS, "W3", "10,000 rows before"), (ROWS, "W3", "1 rows before"), (HEADERS, "W1", "dicognito"),
    ]  # fmt: skip
    run = Run(instances=1, size=1, seconds=1.0, cpu={"receive": 0.1})
    rows = [
        Row.of([run], table=table, workload=workload, subject=subject, conditions="")
        for table, workload, subject in measured
    ]
    text = document(Account(facts=machine.facts(tmp_path), rows=rows, hot={}))
    places = [
        text.index(f"| {workload} | {subject} |")
        for workload, subject in [
            ("W1", "gateway"), ("W3", "gateway"), ("W1", "Orthanc"), ("W1", "dicognito"),
            # Growth as it was measured.
            ("W3", "10,000 rows before"), ("W3", "1 rows before"),
        ]
    ]  # fmt: skip
    assert places == sorted(places)


def test_an_account_is_kept_and_told(small: Workload, plain: Run, tmp_path: Path) -> None:
    own = next(headers.gateway(tmp_path / "work", small.take(3)))
    rows = [
        Row.of([plain], table=RECEIVE, workload="W3", subject="pynetdicom SCP", conditions="1 association, as shipped"),
        Row.of([own], table=HEADERS, workload="W1", subject="gateway", conditions="basic profile"),
        Row.of(
            [Run(instances=100, size=10**6, seconds=0.5)] * 3,
            table=WHOLE, workload="W3", subject="folder", conditions="4 associations, TCP_NODELAY",
        ),
    ]  # fmt: skip
    account = Account(facts=machine.facts(tmp_path), rows=rows, hot={"receive": [(0.5, "run (transfer.py)")]})
    account.write_json(tmp_path / "account.json")
    assert Account.read_json(tmp_path / "account.json") == account
    assert Account.joined([replace(account, rows=rows[:2]), replace(account, rows=rows[1:])]) == account
    later = replace(account, facts={**account.facts, machine.VERSION: "of another day"}, rows=rows[:1])
    assert Account.joined([account, later]).facts == {
        **account.facts,
        f"{RECEIVE}, 1 association, as shipped; receive": f"{machine.VERSION} of another day",
    }
    text = document(account)
    assert "| whole way W3 into a folder | >= 700/s | 200/s (200-200) | no |" in text
    assert "| `run (transfer.py)` | 50% |" in text
