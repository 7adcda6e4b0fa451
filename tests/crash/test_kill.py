"""Promises P1, P2, P3, P6, P11 and P12: SIGKILL at any point loses, doubles and lets out nothing.

The whole gateway, or one of its processes, is killed at every named point of an instance's way and at random, while a
real sender (dcmtk's storescu) repeats what was not acknowledged and two destinations take what comes: a folder and a
real archive (dcmtk's storescp). Every instance goes to both, some of them in a second, corrected version.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.crash.points import MIGRATION, POINTS
from tests.crash.torture import Figures, torture

LEAST_KILLS = 50
#: Kills at random, besides one at each point.
AT_RANDOM = 8


def killed(folder: Path, names: Sequence[str], *, at_random: int) -> Figures:
    seed = int.from_bytes(os.urandom(4))
    order = random.Random(seed)
    with torture(folder, seed=seed) as one:
        passed_at_start = [point.name for point in POINTS if point.at_start]
        # The schema is made once. The other points of the start are passed one start after the other.
        first = [name for name in passed_at_start if name in MIGRATION]
        later: list[list[str]] = [[name] for name in names if name not in passed_at_start]
        later += [[""]] * at_random + [[name for name in passed_at_start if name not in MIGRATION]]
        order.shuffle(later)
        others = [name for group in later for name in group]
        for name in [*first, *others]:
            if name:
                one.at(name)
            else:
                one.at_random()
        figures = one.finish()
    print(f"seed {seed}\n{figures}")  # noqa: T201  (the figures are what is wanted)
    return figures


@pytest.mark.timeout(1200)
def test_sigkill_at_every_point_and_at_random(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    figures = killed(tmp_path, [point.name for point in POINTS], at_random=AT_RANDOM)
    record_property("figures", str(figures))
    assert figures.is_clean, figures
    assert figures.kills.total() >= LEAST_KILLS
    assert {point.name for point in POINTS} <= set(figures.kills)
    assert figures.corrections
