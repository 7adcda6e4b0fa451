"""Trying mutations in a session of pytest: the tests are collected once, and each trial is a fork of that process."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from coverage import Coverage

from tests.mutation.operators import Mutation, mutations
from tests.mutation.patch import NotPatched, apply

#: The tests of one mutation, in seconds as they take without it; the fastest first.
MOST_SECONDS = 6.0
#: A trial that takes so many times as long does not end.
PATIENCE = 6
KILLED, SURVIVED, UNTESTED, SKIPPED = "killed", "survived", "untested", "skipped"


@dataclass
class Trials:
    """What is tried, and what came of it.

    Attributes
    ----------
    root: of the repository
    paths: the modules
    seconds: of the processor, for everything
    seed: of the choice of mutations
    cache: folder of what is known of the tests
    outcomes: what came of each mutation that was tried
    """

    root: Path
    paths: Sequence[str]
    seconds: float
    seed: int
    cache: Path
    only: str = ""
    outcomes: dict[Mutation, str] = field(default_factory=dict)
    total: int = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests."""
        covering, seconds = self._known(session.items)
        chosen = [one for path in self.paths for one in mutations(self.root, path)]
        self.total = len(chosen)
        if self.only:
            chosen = [one for one in chosen if self.only in str(one)]
        random.Random(self.seed).shuffle(chosen)
        for mutation in chosen:
            if spent() > self.seconds:
                break
            items = self._items(mutation, covering, seconds, session.items)
            self.outcomes[mutation] = self._trial(mutation, items, seconds) if items else UNTESTED
            sys.stderr.write({KILLED: ".", SURVIVED: "S", UNTESTED: "U", SKIPPED: "-"}[self.outcomes[mutation]])
            sys.stderr.flush()
        sys.stderr.write("\n")
        return True

    def _items(
        self,
        mutation: Mutation,
        covering: dict[str, dict[str, list[str]]],
        seconds: dict[str, float],
        items: Sequence[pytest.Item],
    ) -> list[pytest.Item]:
        lines = covering.get(mutation.path, {})
        whole = {name for line in lines.values() for name in line}
        if not lines and not mutation.function:
            # Nothing but constants: no line of the module runs in any test, and any may read them.
            whole = set(seconds)
        # A constant is read wherever the module is used.
        first = set(lines.get(str(mutation.line), ())) if mutation.function else whole
        found: list[pytest.Item] = []
        # What a line made for one test may be remembered for others, of which coverage does not tell.
        for names, most in ((first, MOST_SECONDS), (whole - first, MOST_SECONDS / 3 if first else 0)):
            total = 0.0
            for item in sorted((one for one in items if one.nodeid in names), key=lambda one: seconds[one.nodeid]):
                total += seconds[item.nodeid]
                if total > most and not (names is first and not found):
                    break
                found.append(item)
        return found

    def _trial(self, mutation: Mutation, items: Sequence[pytest.Item], seconds: dict[str, float]) -> str:
        limit = 10 + PATIENCE * sum(seconds[item.nodeid] for item in items)
        child = _fork()
        if child == 0:
            _silence()
            try:
                changed = apply(self.root, mutation)
            except NotPatched:
                os._exit(3)
            except BaseException:  # noqa: BLE001 - a module that does not load is noticed by everything
                os._exit(1)
            for item in items:
                _give(item, changed)
            os._exit(int(any(_fails(item) for item in items)))
        return {0: SURVIVED, 3: SKIPPED}.get(_ended(child, limit), KILLED)

    def _known(self, items: Sequence[pytest.Item]) -> tuple[dict[str, dict[str, list[str]]], dict[str, float]]:
        """Module -> line -> the tests that run it, and the seconds that each test takes."""
        digest = hashlib.sha256()
        for path in [*self.paths, *sorted({str(item.path) for item in items})]:
            digest.update((self.root / path).read_bytes())
        file = self.cache / f"{digest.hexdigest()[:16]}.json"
        if not file.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            child = _fork()
            if child == 0:
                _silence()
                file.with_suffix(".new").write_text(json.dumps(_survey(self.root, self.paths, items)))
                os._exit(0)
            if _ended(child, 3600) != 0:
                raise pytest.UsageError("the tests cannot be run under coverage")
            file.with_suffix(".new").rename(file)
        covering, seconds, failed = json.loads(file.read_text())
        if failed:
            # They cannot tell anything here.
            sys.stderr.write(f"left out, for they fail without any mutation: {', '.join(failed)}\n")
        for lines in covering.values():
            for line, names in lines.items():
                lines[line] = [name for name in names if name not in failed]
        return covering, seconds


def spent() -> float:
    """Seconds of the processor of this process and its children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _survey(root: Path, paths: Sequence[str], items: Sequence[pytest.Item]) -> tuple[object, object, list[str]]:
    coverage = Coverage(data_file=None, include=[str(root / path) for path in paths], messages=False)
    coverage.start()
    seconds, failed = {}, []
    for item in items:
        begun = time.perf_counter()
        coverage.switch_context(item.nodeid)
        if _fails(item):
            failed.append(item.nodeid)
        seconds[item.nodeid] = time.perf_counter() - begun
    coverage.stop()
    with warnings.catch_warnings():
        # Of modules of constants there is nothing to tell.
        warnings.simplefilter("ignore")
        data = coverage.get_data()
    covering = {
        path: {str(line): [one for one in names if one] for line, names in data.contexts_by_lineno(file).items()}
        for path in paths
        if (file := str(root / path)) in data.measured_files()
    }
    return covering, seconds, failed


def _give(item: pytest.Item, changed: Sequence[tuple[object, object]]) -> None:
    """Have a test that was made with a constant, as one of its parameters, get the changed one."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    for name, value in list(parameters.items()):
        for old, new in changed:
            if value is old and not isinstance(old, int | str | bytes):
                parameters[name] = new


def _fails(item: pytest.Item) -> bool:
    reports = runtestprotocol(item, log=False, nextitem=None)
    return any(report.failed for report in reports)


def _fork() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def _silence() -> None:
    # Whatever a trial starts ends with it.
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def _ended(child: int, limit: float) -> int:
    """The exit status of a child; one that takes too long is ended and has noticed."""
    until = time.monotonic() + limit
    pause = 0.002
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(0.05, pause * 1.5)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1
