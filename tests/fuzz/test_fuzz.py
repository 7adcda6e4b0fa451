"""Hostile bytes at every door: the seeds that earlier runs kept, and a short run of each fuzzer (promise P7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.dicom import encoded
from tests.fuzz.run import CORPUS, coverage_of, fuzz, seeds
from tests.fuzz.targets import TARGETS, close

_SECONDS = 4
#: What strangers reach without being let in; the others are replayed here and fuzzed by the command.
_EXPOSED = ("association", "transfer", "walker")


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    close()


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target: str) -> None:
    inputs = seeds(target)
    assert inputs
    for data in inputs:
        TARGETS[target].run(data)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", _EXPOSED)
def test_short_run(target: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """``scripts/fuzz`` runs longer."""
    run = fuzz(target, seconds=_SECONDS, work=tmp_path, seed=20260115)
    record_property("figures", f"{target}: {run.executions} executions, {len(run.crashes)} crashes")
    assert run.crashes == (), run.report
    assert run.executions > len(seeds(target))


def test_seeds_reach_the_walker(record_property: Callable[[str, object], None]) -> None:
    reached = coverage_of(encoded, "walker")
    record_property("figures", f"lines and branches of the walker that the seeds reach: {reached:.1f} %")
    assert reached > 90


def test_every_corpus_has_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
