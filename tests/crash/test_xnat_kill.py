"""Promises P1, P3, P4 and P6: SIGKILL while XNAT reads what the gateway sends loses, doubles and misfiles nothing.

XNAT files what it has read of an archive whose sender has gone, the last instance truncated. More kills:
``scripts/torture --xnat 30``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.xnat import torture_xnat

KILLS = 5


@pytest.mark.timeout(900)
def test_sigkill_during_uploads(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    seed = int.from_bytes(os.urandom(4))
    figures = torture_xnat(tmp_path, kills=KILLS, seed=seed)
    print(f"seed {seed}\n{figures}")  # noqa: T201  (the figures are what is wanted)
    record_property("figures", str(figures))
    assert figures.faults == [], figures
    assert figures.during_uploads
