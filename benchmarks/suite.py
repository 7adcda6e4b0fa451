"""What is measured: every row of every table."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks import growth, headers, machine, receivers, stages, whole
from benchmarks.figures import Row, Run
from benchmarks.selection import Selection
from benchmarks.senders import EACH
from benchmarks.steady import Steadiness
from benchmarks.workloads import W4_BYTES, Workload, large, workload

BOUNDS: Final = "The machine's bounds"
RECEIVE: Final = "Receive"
HEADERS: Final = "Header work"
STAGES: Final = "Stages alone"
WHOLE: Final = "The whole way"
ROWS: Final = "Growth: rows in the ledger"
ASSOCIATIONS: Final = "Growth: associations"
SIZES: Final = "Growth: size of an instance"
IDLE: Final = "Idle associations"
TABLES: Final = (BOUNDS, RECEIVE, HEADERS, STAGES, WHOLE, ROWS, ASSOCIATIONS, SIZES, IDLE)

SHIPPED: Final = "as shipped"
NO_DELAY: Final = "TCP_NODELAY"
NOT_SYNCED: Final = "without fdatasync"


def conditions(associations: int, *, no_delay: bool) -> str:
    """How a row names its senders."""
    plural = "" if associations == 1 else "s"
    number = f"{associations} association{plural}" if associations != EACH else "an association each"
    return f"{number}, {NO_DELAY if no_delay else SHIPPED}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured.

    Attributes
    ----------
    repeats: runs of a row
    counts: instances of a run by workload
    slow: instances of a run against a receiver that takes some twenty a second, or from a sender that sends as few
    header: instances of a run of the gateway's engine; of the others a fifth
    large: bytes of W4
    rows: of the ledger
    associations: at the same time
    in_each: instances of an association, at least, where the number of associations grows
    sizes: bytes of single instances
    idle: associations, and seconds
    whole: whether rows that do not belong to the shortest account are measured too
    """

    repeats: int
    counts: dict[str, int]
    slow: int
    header: int
    large: int
    rows: tuple[int, ...]
    associations: tuple[int, ...]
    in_each: int
    sizes: tuple[int, ...]
    idle: tuple[int, float]
    whole: bool


FULL: Final = Scale(
    repeats=5,
    counts={"W1": 500, "W2": 20, "W3": 2000, "W5": 200},
    slow=40,
    header=100,
    large=W4_BYTES,
    rows=(1, 10_000, 1_000_000),
    associations=(1, 4, 16, 64),
    in_each=125,
    sizes=(100 << 10, 1 << 20, 64 << 20, 512 << 20, W4_BYTES),
    idle=(200, 20.0),
    whole=True,
)
QUICK: Final = Scale(
    repeats=1,
    counts={"W1": 60, "W2": 4, "W3": 200, "W5": 20},
    slow=10,
    header=10,
    large=64 << 20,
    rows=(1, 10_000),
    associations=(1, 16),
    in_each=25,
    sizes=(100 << 10, 64 << 20),
    idle=(50, 2.0),
    whole=False,
)


#: Files and folders of a run that are removed at once.
_FEW_FILES: Final = 150
#: Bytes that are to be free before a run; W4 takes nine gigabytes.
_ROOM: Final = 15 << 30
_EVERYTHING: Final = Selection()


class Suite:
    """Measures.

    Parameters
    ----------
    cache: where workloads are kept
    work: where everything else happens; an empty folder on the file system to be measured. Who made it removes it:
        nearly all that is written stays until the end (``_leave``).
    scale: how much
    tell: called before each row with what is measured
    selection: rows to be measured
    steadiness: which runs count
    """

    def __init__(
        self, *, cache: Path, work: Path, scale: Scale, tell: Callable[[str], None], steadiness: Steadiness,
        selection: Selection = _EVERYTHING,
    ) -> None:  # fmt: skip
        self._cache = cache
        self._work = work
        self._scale = scale
        self._tell = tell
        self._selection = selection
        self._limit_ms = steadiness.limit_ms
        self._counted = steadiness.counted
        self._left: list[Path] = []
        self._folders = (work / f"{number}" for number in count())

    def rows(self) -> Iterator[Row]:
        """The rows, as they are measured."""
        parts = {
            BOUNDS: self._bounds,
            RECEIVE: self._receive,
            HEADERS: self._headers,
            STAGES: self._stages,
            WHOLE: self._whole,
            ROWS: self._growth_rows,
            ASSOCIATIONS: self._growth_associations,
            SIZES: self._growth_sizes,
            IDLE: self._idle,
        }
        for table in TABLES:
            if self._selection.has_table(table):
                yield from parts[table]()

    def workload(self, name: str) -> Workload:
        """A workload of this scale."""
        return workload(self._cache, name, self._scale.counts[name])

    def folder(self) -> Path:
        """A folder that does not exist yet."""
        return next(self._folders)

    def _row(
        self, measure: Callable[[], Run], *, table: str, workload: str, subject: str, conditions: str, note: str = "",
        repeats: int | None = None,
    ) -> Iterator[Row]:  # fmt: skip
        if not self._selection.has_row((table, workload, subject, conditions)):
            return
        self._tell(f"{table}: {workload} {subject}, {conditions}")
        runs = [self._counted(lambda: (measure(),))[0] for _ in range(repeats or self._scale.repeats)]
        yield Row.of(runs, table=table, workload=workload, subject=subject, conditions=conditions, note=note,
                     limit_ms=self._limit_ms)  # fmt: skip

    def _in_folder(self, measure: Callable[[Path], Run]) -> Callable[[], Run]:
        """``measure`` with a folder of its own each time."""

        def run() -> Run:
            folder = self.folder()
            run = measure(folder)
            self._leave(folder)
            return run

        return run

    def _leave(self, folder: Path) -> None:
        """Remove what a run left if that is little more than a few large files.

        To remove many could make the next run slower, each of its files by up to a millisecond: see
        ``machine.spread``. They are emptied when room is needed.
        """
        if sum(1 for _ in folder.rglob("*")) <= _FEW_FILES:
            shutil.rmtree(folder, ignore_errors=True)
            return
        self._left.append(folder)
        if shutil.disk_usage(self._work).free < _ROOM:
            for path in (path for left in self._left for path in left.rglob("*") if path.is_file()):
                os.truncate(path, 0)
            self._left.clear()

    def _bounds(self) -> Iterator[Row]:
        for name, unit, measure in machine.bounds(self.folder()):
            yield from self._row(measure, table=BOUNDS, workload=unit, subject=name, conditions="one process")

    def _receive(self) -> Iterator[Row]:
        cases = [("W1", 1, False), ("W1", 4, True), ("W3", 1, False), ("W3", 4, True)]
        more = [("W1", 4, False), ("W1", 1, True), ("W3", 4, False), ("W3", 1, True), ("W2", 1, True), ("W2", 4, True),
                ("W5", 4, True)]  # fmt: skip
        for name, associations, no_delay in [*cases, *(more if self._scale.whole else [])]:
            measure = partial(
                stages.receive, workload=self.workload(name), associations=associations, no_delay=no_delay
            )
            yield from self._row(self._in_folder(measure), table=RECEIVE, workload=name, subject="gateway",
                                 conditions=conditions(associations, no_delay=no_delay))  # fmt: skip
        measure = partial(
            stages.receive, workload=self.workload("W3").take(5 * self._scale.slow), associations=EACH, no_delay=True
        )
        yield from self._row(self._in_folder(measure), table=RECEIVE, workload="W3", subject="gateway",
                             conditions=conditions(EACH, no_delay=True))  # fmt: skip
        peers = [*receivers.RECEIVERS]
        cases = [("W1", 1, False), ("W1", 4, True), ("W3", 1, False), ("W3", EACH, True)]
        for peer in peers if self._scale.whole else peers[:1]:
            for name, associations, no_delay in cases if self._scale.whole else cases[:1]:
                yield from self._peer(peer, name, associations, no_delay=no_delay)

    def _peer(self, peer: str, name: str, associations: int, *, no_delay: bool) -> Iterator[Row]:
        sent = self.workload(name)
        if not no_delay:
            sent = sent.take(self._scale.slow)
        elif associations == EACH:
            sent = sent.take(5 * self._scale.slow)
        measure = partial(receivers.measure, name=peer, workload=sent, associations=associations, no_delay=no_delay)
        yield from self._row(self._in_folder(measure), table=RECEIVE, workload=name, subject=peer, note=NOT_SYNCED,
                             conditions=conditions(associations, no_delay=no_delay))  # fmt: skip

    def _headers(self) -> Iterator[Row]:
        for name in ("W1", "W2", "W3") if self._scale.whole else ("W1",):
            own = headers.gateway(self.folder(), self.workload(name).take(2 * self._scale.header))
            yield from self._row(partial(next, _warmed(own)), table=HEADERS, workload=name, subject="gateway",
                                 conditions="basic profile")  # fmt: skip
        for peer in headers.PEERS:
            runs = headers.peer(peer, self.workload("W1").take(max(2, self._scale.header // 5)))
            yield from self._row(partial(next, runs), table=HEADERS, workload="W1", subject=peer,
                                 conditions="its defaults")  # fmt: skip

    def _stages(self) -> Iterator[Row]:
        cases = [
            ("W1", "folder"),
            ("W1", "null STOW sink"),
            ("W3", "folder"),
            ("W1", "storescp"),
            ("W2", "null STOW sink"),
        ]
        for name, kind in cases if self._scale.whole else cases[:1]:
            keys = [(STAGES, name, "deliver", kind)]
            if kind == "folder":
                keys.insert(0, (STAGES, name, "de-identify and verify", "one worker"))
            if not any(self._selection.has_row(key) for key in keys):
                continue
            self._tell(f"{STAGES}: {name}, {kind}")
            measure = partial(self._process, self.workload(name), kind)
            pairs = [self._counted(measure) for _ in range(self._scale.repeats)]
            # The worker's run is the first of a pair, the delivering process's the last.
            for part, (table, _, subject, conditions) in zip(range(-len(keys), 0), keys, strict=True):
                yield Row.of([pair[part] for pair in pairs], table=table, workload=name, subject=subject,
                             conditions=conditions, limit_ms=self._limit_ms)  # fmt: skip

    def _process(self, sent: Workload, kind: str) -> tuple[Run, Run]:
        folder = self.folder()
        pair = stages.process(folder, sent, kind)
        self._leave(folder)
        return pair

    def _whole(self) -> Iterator[Row]:
        cases = [("W1", "folder", 4, True), ("W3", "folder", 4, True), ("W1", "null STOW sink", 4, True)]
        more = [("W1", "folder", 4, False), ("W1", "folder", 1, True), ("W2", "folder", 4, True),
                ("W3", "folder", 1, True), ("W5", "folder", 4, True), ("W3", "null STOW sink", 4, True),
                ("W2", "null STOW sink", 4, True), ("W1", "Orthanc", 4, True), ("W3", "Orthanc", 4, True),
                ("W1", "storescp", 4, True)]  # fmt: skip
        for name, kind, associations, no_delay in [*cases, *(more if self._scale.whole else [])]:
            sent = self.workload(name)
            if kind == "Orthanc":
                sent = sent.take(200)
            measure = partial(whole.measure, workload=sent, kind=kind, associations=associations, no_delay=no_delay)
            yield from self._row(self._in_folder(measure), table=WHOLE, workload=name, subject=kind,
                                 conditions=conditions(associations, no_delay=no_delay))  # fmt: skip
        measure = partial(
            whole.measure, workload=large(self._cache, self._scale.large), kind="folder", associations=1, no_delay=True
        )
        yield from self._row(self._in_folder(measure), table=WHOLE, workload="W4", subject="folder",
                             conditions=conditions(1, no_delay=True), repeats=1)  # fmt: skip

    def _growth_rows(self) -> Iterator[Row]:
        for rows in self._scale.rows:
            with closing(self._filled(rows)) as runs:
                yield from self._row(partial(next, runs), table=ROWS, workload="W3", subject=f"{rows:,} rows before",
                                     conditions=conditions(4, no_delay=True))  # fmt: skip

    def _filled(self, rows: int) -> Generator[Run, None, None]:
        filled = self.folder()
        growth.fill(filled, rows)
        measure = self._in_folder(partial(growth.rows, workload=self.workload("W3"), filled=filled))
        try:
            while True:
                yield measure()
        finally:
            self._leave(filled)

    def _growth_associations(self) -> Iterator[Row]:
        sent = self.workload("W3").at_least(max(self._scale.associations) * self._scale.in_each)
        for associations in self._scale.associations:
            measure = partial(stages.receive, workload=sent, associations=associations, no_delay=True)
            yield from self._row(self._in_folder(measure), table=ASSOCIATIONS, workload="W3", subject="receive",
                                 conditions=conditions(associations, no_delay=True))  # fmt: skip

    def _growth_sizes(self) -> Iterator[Row]:
        for size in self._scale.sizes:
            measure = partial(
                whole.measure, workload=large(self._cache, size), kind="folder", associations=1, no_delay=True
            )
            yield from self._row(self._in_folder(measure), table=SIZES, workload="W4", subject=f"{size / 1e6:,.1f} MB",
                                 conditions="into a folder", repeats=1)  # fmt: skip

    def _idle(self) -> Iterator[Row]:
        associations, seconds = self._scale.idle
        measure = partial(growth.idle, associations=associations, seconds=seconds)
        yield from self._row(self._in_folder(measure), table=IDLE, workload="", subject=f"{associations} associations",
                             conditions=f"silent for {seconds:g} s", repeats=1)  # fmt: skip


def _warmed(runs: Iterator[Run]) -> Iterator[Run]:
    """All but the first, which is made when the second is asked for."""
    next(runs)
    yield from runs
