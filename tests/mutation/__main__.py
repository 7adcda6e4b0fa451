"""``scripts/mutate``: breaks rooms in many places and tells how much of it the tests notice."""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.operators import Mutation
from tests.mutation.trial import KILLED, SKIPPED, SURVIVED, UNTESTED, Trials

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "mutation"
REASONS = Path(__file__).parent / "survivors.csv"


@dataclass(frozen=True)
class Part:
    """What is broken, and the tests that have to notice."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


PARTS = {
    "verify": Part(("gateway/verify",), ("tests/unit/verify",)),
    "deid": Part(("gateway/deid",), ("tests/unit/deid",)),
    "ledger": Part(
        tuple(f"gateway/ledger/{name}.py" for name in ("states", "history", "corrections", "turns", "outgoing")),
        tuple(f"tests/unit/ledger/test_ledger_{name}.py" for name in ("states", "receipts", "sqlite")),
    ),
    "receive": Part(
        (
            "gateway/receive",
            *(f"gateway/association/{name}.py" for name in ("acceptor", "admission", "message", "pdu", "transfer")),
        ),
        ("tests/unit/receive", "tests/unit/association"),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to break; everything without")
    parser.add_argument("--seconds", type=float, default=225, help="of the processor, for each part")
    parser.add_argument("--seed", type=int, default=1, help="which mutations are tried first")
    parser.add_argument("--only", default="", help="mutations whose line in the report holds this")
    parser.add_argument("--at-least", type=float, default=0, help="percentage below which the script fails")
    parser.add_argument("--modules", nargs="+", default=[], help="break these instead of parts, and")
    parser.add_argument("--tests", nargs="+", default=[], help="have these notice")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if bool(options.modules) != bool(options.tests):
        parser.error("--modules and --tests go together")
    if options.alone:
        given = Part(tuple(options.modules), tuple(options.tests))
        return _alone(given if options.modules else PARTS[options.parts[0]], options)
    found: list[tuple[str, dict[Mutation, str], int]] = []
    arguments = [f"--seconds={options.seconds}", f"--seed={options.seed}", f"--only={options.only}"]
    if options.modules:
        arguments += ["--modules", *options.modules, "--tests", *options.tests]
    for part in [""] if options.modules else options.parts or PARTS:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.mutation", *([part] if part else []), "--alone", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if ended.returncode:
            sys.stderr.write(ended.stdout)
            return ended.returncode
        total, outcomes = json.loads(ended.stdout.splitlines()[-1])
        found.append((part, {_read(one): what for *one, what in outcomes}, total))
    return _report(found, options.at_least)


def _read(row: list[Any]) -> Mutation:
    path, line, function, before, after, place = row
    return Mutation(path, line, function, before, after, (place[0], place[1]))


def _alone(part: Part, options: argparse.Namespace) -> int:
    paths = [
        str(path.relative_to(ROOT))
        for module in part.modules
        for path in sorted([ROOT / module] if module.endswith(".py") else (ROOT / module).glob("*.py"))
    ]
    trials = Trials(ROOT, paths, options.seconds, options.seed, CACHE, options.only)
    arguments = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", *part.tests]
    status = pytest.main(arguments, plugins=[trials])
    sys.stdout.write(
        "\n" + json.dumps((trials.total, [(*astuple(one), what) for one, what in trials.outcomes.items()]))
    )
    return int(status)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _report(found: list[tuple[str, dict[Mutation, str], int]], at_least: float) -> int:
    with REASONS.open(encoding="utf-8", newline="") as file:
        reasons = {(row["module"], row["before"], row["after"]): row["reason"] for row in csv.DictReader(file)}
    killed = tried = excused = 0
    survivors: list[Mutation] = []
    for part, outcomes, total in found:
        counts = {kind: sum(what == kind for what in outcomes.values()) for kind in (KILLED, SURVIVED, UNTESTED)}
        of = sum(counts.values())
        _say(
            f"{part or 'these'}: {counts[KILLED]} of {of} killed ({counts[KILLED] / max(of, 1):.1%}); {total} possible"
        )
        killed, tried = killed + counts[KILLED], tried + of
        survivors += sorted(one for one, what in outcomes.items() if what not in (KILLED, SKIPPED))
    for one in survivors:
        reason = reasons.get((one.path, one.before, one.after))
        excused += reason is not None
        _say(f"survived: {one}" + (f"  ({reason})" if reason else ""))
    share = 100 * killed / max(tried, 1)
    rest = 100 * killed / max(tried - excused, 1)
    _say(f"in all: {killed} of {tried} killed ({share:.1f} %); {rest:.1f} % without the {excused} that change nothing")
    return int(rest < at_least)


if __name__ == "__main__":
    sys.exit(main())
