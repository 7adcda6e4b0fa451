"""What the supervisor makes of a process that has ended."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from gateway.ledger import Blamed
from gateway.service.at_work import OVERRAN, AtWork
from gateway.service.process import LOST
from gateway.service.supervisor import Supervisor, _Post
from gateway.service.worker import work
from gateway.settings.configuration import Settings

BUSY = AtWork(instance_id=7, busy_seconds=1.0, allowed_seconds=60.0)


@pytest.mark.parametrize(
    ("exit_code", "crashed", "code"),
    [
        (0, False, None),  # it gives back what it did not begin
        (-9, True, "worker-died"),
        (1, True, "worker-died"),
        (OVERRAN, True, "instance-overran"),
        (LOST, False, None),  # who forked it is gone: it may be at work still, and the instance has done nothing
    ],
)
def test_p14_an_instance_is_blamed_for_a_death_only(
    tmp_path: Path, exit_code: int, *, crashed: bool, code: str | None
) -> None:
    supervisor = Supervisor(Settings.model_validate({"data": tmp_path}), Mock())
    ledger = Mock()
    supervisor._ledger, supervisor._missing = ledger, None
    child: Any = SimpleNamespace(
        name="deidentify-1", owner="node/deidentify-1", pid=None, is_alive=False, was_ready=True, exit_code=exit_code,
        at_work=BUSY, close=Mock(),
    )  # fmt: skip
    post = _Post("deidentify-1", work, child=child)
    supervisor._look_after(post, time.monotonic())
    (call,) = ledger.deliveries.release.call_args_list
    blamed: Blamed | None = call.kwargs["blamed"]
    assert call.args == ("node/deidentify-1",)
    assert call.kwargs["crashed"] is crashed
    assert (None if blamed is None else blamed.code) == code
    # Whatever it was, another one takes its place soon.
    assert post.child is None
    assert child.close.called
    assert post.due > 0
