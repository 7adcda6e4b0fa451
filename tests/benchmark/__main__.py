"""The command line of the benchmark: see ``scripts/benchmark --help``."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from tests.benchmark import hot, machine
from tests.benchmark.figures import Row
from tests.benchmark.programs import ROOT
from tests.benchmark.report import HOT, Account, document, show, show_comparison
from tests.benchmark.suite import FULL, QUICK, TABLES, Suite

_DOCUMENT = ROOT / "docs" / "performance.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or compare two measurements; the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 220)
    if options.compare:
        before, after = (Account.read_json(path) for path in options.compare)
        show_comparison(before, after, console)
        return 0
    if options.tell:
        account = Account.joined([Account.read_json(path) for path in options.tell])
    else:
        tables = _chosen(options.only)
        if not tables:
            console.print(f"no table is called that; there are: {', '.join((*TABLES, HOT))}", markup=False)
            return 2
        account = measure(tables, quick=options.quick, cache=options.cache, work=options.work, limit_ms=options.steady)
    show(account, console)
    if options.json:
        account.write_json(options.json)
    if options.document:
        _DOCUMENT.write_text(document(account), encoding="utf-8")
    return 0


def measure(
    tables: tuple[str, ...], *, quick: bool, cache: Path, work: Path | None = None, limit_ms: float | None = None
) -> Account:
    """Measure tables.

    Args:
        tables: of ``TABLES``, and ``HOT``
        quick: a look instead of a measurement
        cache: where workloads are kept
        work: where everything else happens; a folder of its own is made in it and removed
        limit_ms: how slow the processor may be for a run to count, see ``steady``
    """
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {text}", file=sys.stderr, flush=True)  # noqa: T201

    folder = Path(tempfile.mkdtemp(prefix="gateway-benchmark-", dir=work))
    try:
        machine.spread(folder)
        facts = machine.facts(folder)
        if limit_ms is not None:
            facts["runs"] = f"count if the processor took at most {limit_ms:g} ms for its loop, before and after"
        suite = Suite(cache=cache, work=folder, scale=QUICK if quick else FULL, tell=tell, limit_ms=limit_ms)
        rows: list[Row] = list(suite.rows(tuple(table for table in tables if table != HOT)))
        profiled = HOT in tables and not quick and hot.is_available()
        found: Mapping[str, Sequence[tuple[float, str]]] = {}
        if profiled:
            ways = [(suite.workload(name), kind) for name, kind in hot.WAYS]
            crowd = (suite.workload(hot.CROWD[0]), hot.CROWD[1])
            found = hot.profile(suite.folder(), ways, crowd)
        return Account(facts=facts, rows=rows, hot=found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _chosen(words: Sequence[str]) -> tuple[str, ...]:
    """Tables whose title has one of the words in it; all without words."""
    return tuple(table for table in (*TABLES, HOT) if not words or any(word.lower() in table.lower() for word in words))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description="How fast the gateway is, beside its peers.")
    parser.add_argument(
        "--quick", action="store_true", help="a look in less than three minutes: one run, few instances"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="TABLE", help="part of a table's title; may be repeated"
    )
    parser.add_argument(
        "--tell", type=Path, nargs="+", metavar="FILE", help="tell, or document, what was measured into such files"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"), help="compare two such files")
    parser.add_argument("--document", action="store_true", help=f"write {_DOCUMENT.relative_to(ROOT)}")
    parser.add_argument(
        "--steady",
        type=float,
        metavar="MS",
        help="do not count runs in which the processor takes longer for its loop, column `loop ms`, but repeat them",
    )
    parser.add_argument("--work", type=Path, help="directory on the file system to be measured")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "deid-gateway-benchmark",
        help="where workloads are kept: 3.5 GB in full",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
