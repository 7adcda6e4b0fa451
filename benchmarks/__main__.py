"""The command line of the benchmark: see ``scripts/benchmark --help``."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console

from benchmarks import hot, machine
from benchmarks.programs import ROOT
from benchmarks.pulse import Pulse
from benchmarks.report import HOT, Account, document, show, show_comparison
from benchmarks.selection import Selection
from benchmarks.steady import ATTEMPTS, Steadiness
from benchmarks.suite import FULL, QUICK, TABLES, Suite

_DOCUMENT = ROOT / "docs" / "performance.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or compare two measurements; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.resume and not options.json:
        parser.error("--resume needs --json: the file with what has been measured")
    console = Console(width=None if sys.stdout.isatty() else 220)
    if options.compare:
        before, after = (Account.read_json(path) for path in options.compare)
        show_comparison(before, after, console)
        return 0
    if options.tell:
        account = Account.joined([Account.read_json(path) for path in options.tell])
    else:
        known = Account.read_json(options.json) if options.resume and options.json.exists() else None
        if known and known.facts[machine.VERSION] != machine.gateway_version():
            console.print(f"{options.json} is of gateway {known.facts[machine.VERSION]}: start anew", markup=False)
            return 2
        selection = Selection(
            words=options.only, known=frozenset(row.key for row in known.rows) if known else frozenset()
        )
        if not any(map(selection.has_table, (*TABLES, HOT))):
            console.print(f"no table is called that; there are: {', '.join((*TABLES, HOT))}", markup=False)
            return 2
        account = measure(
            selection, known=known, keep=options.json, quick=options.quick, cache=options.cache, work=options.work,
            limit_ms=options.steady,
        )  # fmt: skip
    show(account, console)
    if options.json:
        account.write_json(options.json)
    if options.document:
        _DOCUMENT.write_text(document(account), encoding="utf-8")
    return 0


def measure(
    selection: Selection, *, quick: bool, cache: Path, work: Path | None = None, known: Account | None = None,
    keep: Path | None = None, limit_ms: float | None = None,
) -> Account:  # fmt: skip
    """Measure.

    Parameters
    ----------
    selection: rows
    quick: a look instead of a measurement
    cache: where workloads are kept
    work: where everything else happens; a folder of its own is made in it and removed
    known: what was measured before, which is part of the answer
    keep: file to which the account is written after each row
    limit_ms: how slow the processor may be for a run to count, see ``steady``
    """
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {text}", file=sys.stderr, flush=True)  # noqa: T201

    folder = Path(tempfile.mkdtemp(prefix="gateway-benchmark-", dir=work))
    try:
        machine.spread(folder)
        account = known or Account(facts=machine.facts(folder), rows=(), hot={})
        with Pulse() as pulse:
            steadiness = Steadiness(pulse=pulse, limit_ms=limit_ms, tell=tell)
            suite = Suite(
                cache=cache, work=folder, scale=QUICK if quick else FULL, tell=tell, steadiness=steadiness,
                selection=selection,
            )  # fmt: skip
            for row in suite.rows():
                account = replace(account, rows=[*(other for other in account.rows if other.key != row.key), row])
                if keep is not None:
                    account.write_json(keep)
        if selection.has_table(HOT) and not account.hot and not quick and hot.is_available():
            ways = [(suite.workload(name), kind) for name, kind in hot.WAYS]
            crowd = (suite.workload(hot.CROWD[0]), hot.CROWD[1])
            account = replace(account, hot=hot.profile(suite.folder(), ways, crowd))
        return account
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description="How fast the gateway is, beside its peers.")
    parser.add_argument(
        "--quick", action="store_true", help="a look in less than three minutes: one run, few instances"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TABLE[/ROW]",
        help="part of a table's title, and of a row's workload, subject and conditions; may be repeated",
    )
    parser.add_argument(
        "--tell", type=Path, nargs="+", metavar="FILE", help="tell, or document, what was measured into such files"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, after each row")
    parser.add_argument("--resume", action="store_true", help="measure what is not yet in the file of --json")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"), help="compare two such files")
    parser.add_argument("--document", action="store_true", help=f"write {_DOCUMENT.relative_to(ROOT)}")
    parser.add_argument(
        "--steady",
        type=float,
        metavar="MS",
        help="do not count runs in which the processor takes longer for its loop, column `loop ms`, but repeat them, "
        f"up to {ATTEMPTS} times",
    )
    parser.add_argument("--work", type=Path, help="directory on the file system to be measured")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "deid-gateway-benchmark",
        help="where workloads are kept: 3.5 GB in full",
    )
    return parser


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave, so that what was started is ended and what was written removed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main())
