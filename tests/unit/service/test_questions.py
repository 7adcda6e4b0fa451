"""What the process that answers over HTTP asks its supervisor."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pytest

from gateway.errors import GatewayError, LedgerBusy, LedgerUnavailable
from gateway.service.health import Health
from gateway.service.questions import Asking, Desk, Question, SupervisorSilent


@contextmanager
def between(answers: Mapping[Question, Callable[[], object]]) -> Iterator[tuple[Desk, Asking]]:
    """Both ends in one process; the one that asks has a handle of its own, as another process has."""
    desk = Desk(answers)
    end = Connection(os.dup(desk.end.fileno()))
    desk.open()
    asking = Asking(end)
    yield desk, asking
    # Both are woken where they read.
    with socket.socket(fileno=os.dup(end.fileno())) as pipe:
        pipe.shutdown(socket.SHUT_RDWR)


def fail() -> object:
    raise RuntimeError


def refuse() -> object:
    raise LedgerBusy(operation="be read", server="x", state="y", reason="y")


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (refuse, LedgerBusy),  # of what the gateway knows, as it is
        (fail, SupervisorSilent),  # of anything else nothing is told
        (threading.Lock, SupervisorSilent),  # what cannot be handed over
    ],
)
def test_what_goes_wrong_is_raised_where_it_was_asked(answer: Callable[[], object], raised: type[GatewayError]) -> None:
    with between({Question.READY: answer, Question.ALIVE: Health}) as (_, asking):
        with pytest.raises(raised):
            asking.ask(Question.READY, seconds=30)
        assert asking.ask(Question.ALIVE, seconds=30) == Health()


def test_an_error_of_the_ledger_keeps_what_is_for_everybody() -> None:
    with between({Question.LEDGER: refuse}) as (_, asking):
        with pytest.raises(LedgerUnavailable) as told:
            asking.ask(Question.LEDGER, seconds=30)
        assert "its database" in told.value.public


def test_what_hangs_keeps_no_other_question_waiting_and_gathers_no_threads() -> None:
    over, begun = threading.Event(), threading.Semaphore(0)

    def hang() -> Health:
        begun.release()
        over.wait(60)
        return Health()

    with between({Question.READY: hang, Question.ALIVE: Health}) as (_, asking):
        before = threading.active_count()
        for _ in range(12):
            with pytest.raises(SupervisorSilent):
                asking.ask(Question.READY, seconds=0.01)
        for _ in range(8):
            assert begun.acquire(timeout=30)
        assert not begun.acquire(blocking=False)
        assert threading.active_count() <= before + 8
        assert asking.ask(Question.ALIVE, seconds=30) == Health()
        over.set()


@pytest.mark.parametrize(
    ("question", "thread"),
    [
        (Question.ALIVE, "questions"),  # at once: no number of those who ask makes the gateway look dead
        (Question.LEDGER, "questions"),
        (Question.READY, "answer-READY"),  # may wait for a disk or the ledger
        (Question.STANDING, "answer-STANDING"),
    ],
)
def test_what_waits_for_nothing_needs_no_place(question: Question, thread: str) -> None:
    with between({question: lambda: threading.current_thread().name}) as (_, asking):
        assert asking.ask(question, seconds=30) == thread


def test_a_supervisor_that_is_gone_is_told() -> None:
    with between({Question.ALIVE: Health}) as (_, asking):
        pass
    with pytest.raises(SupervisorSilent):
        asking.ask(Question.ALIVE, seconds=0.5)


def test_who_is_at_work_says_so() -> None:
    with between({Question.ALIVE: Health}) as (desk, asking):
        desk._heard_at -= 100
        assert desk.silent_seconds >= 100
        asking.at_work()
        asking.ask(Question.ALIVE, seconds=30)  # read after it
        assert desk.silent_seconds < 100
