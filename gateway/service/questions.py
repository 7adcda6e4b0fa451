"""What the process that answers over HTTP asks the supervisor, which alone knows how the gateway stands.

Questions and answers go through one pipe. What may wait for a disk or a database is answered in a thread of its own, so
that it keeps no other waiting; what waits for nothing at once, so that it is answered however often it is asked. Who
asks waits only so long, and tells what it is then: no answer.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import suppress
from enum import Enum, auto
from itertools import count
from multiprocessing.connection import Connection
from typing import Any, Final

import structlog

from gateway.errors import GatewayError, TransientError
from gateway.service.process import CONTEXT

__all__ = ["Asking", "Desk", "Question", "SupervisorSilent"]

log = structlog.get_logger(__name__)

#: Answers to the same question under way; more are not begun: what hangs must not gather threads.
_AT_ONCE: Final = 8


class SupervisorSilent(TransientError):
    """The supervisor does not answer: it is overloaded, or waits for a disk that does not answer."""


class Question(Enum):
    """What may be asked."""

    ALIVE = auto()
    READY = auto()
    STANDING = auto()
    #: Nothing to be had but that the ledger may be opened.
    LEDGER = auto()


#: What is answered without waiting for anything.
_IMMEDIATE: Final = frozenset({Question.ALIVE, Question.LEDGER})


class Desk:
    """The supervisor's end: answers the questions of one process.

    Parameters
    ----------
    answers
        question -> what gives its answer, which can be pickled; a GatewayError is handed on. What is alive, and
        whether there is a ledger, is told without waiting for anything

    Attributes
    ----------
    end
        for the process that asks
    """

    def __init__(self, answers: Mapping[Question, Callable[[], object]]) -> None:
        self._answers = answers
        self._connection, self.end = CONTEXT.Pipe()
        self._lock = threading.Lock()
        self._under_way: Counter[Question] = Counter()
        self._heard_at = time.monotonic()

    def open(self) -> None:
        """Begin to answer; called when the other process has its end."""
        self.end.close()
        threading.Thread(target=self._read, name="questions", daemon=True).start()

    @property
    def silent_seconds(self) -> float:
        """How long ago the other process said last that it is at work."""
        return time.monotonic() - self._heard_at

    def _read(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                asked: tuple[int, Question] | None = self._connection.recv()
                self._heard_at = time.monotonic()
                if asked is None:
                    continue
                number, question = asked
                with self._lock:
                    affordable = question in _IMMEDIATE or self._under_way[question] < _AT_ONCE
                    self._under_way[question] += affordable
                if question in _IMMEDIATE:
                    self._answer(number, question)
                elif affordable:
                    threading.Thread(
                        target=self._answer, args=(number, question), name=f"answer-{question.name}", daemon=True
                    ).start()
                else:
                    self._send(number, SupervisorSilent())
        self._connection.close()

    def _answer(self, number: int, question: Question) -> None:
        answer: object
        try:
            answer = self._answers[question]()
        except GatewayError as error:
            answer = error
        except Exception:
            log.exception("question not answered", kind=question.name.lower())
            answer = SupervisorSilent()
        finally:
            with self._lock:
                self._under_way[question] -= 1
        try:
            self._send(number, answer)
        except Exception:
            # It cannot be pickled.
            log.exception("question not answered", kind=question.name.lower())
            self._send(number, SupervisorSilent())

    def _send(self, number: int, answer: object) -> None:
        # The process that asked may have ended.
        with suppress(OSError), self._lock:
            self._connection.send((number, answer))


class Asking:
    """The end of the process that asks. Safe to use from several threads.

    Parameters
    ----------
    end
        of a ``Desk``
    """

    def __init__(self, end: Connection) -> None:
        self._connection = end
        self._lock = threading.Lock()
        self._numbers = count()
        self._open: dict[int, Future[Any]] = {}
        threading.Thread(target=self._read, name="answers", daemon=True).start()

    def ask(self, question: Question, *, seconds: float) -> Any:
        """What the supervisor answers.

        Parameters
        ----------
        question
            what is asked
        seconds
            longest wait

        Raises
        ------
        SupervisorSilent
            there is no answer within ``seconds``
        GatewayError
            the supervisor met one
        """
        answered: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            self._open[number] = answered
        try:
            self._send((number, question))
            answer = answered.result(seconds)
        except (NoAnswer, OSError):
            raise SupervisorSilent from None
        finally:
            self._open.pop(number, None)
        if isinstance(answer, GatewayError):
            raise answer
        return answer

    def at_work(self) -> None:
        """Tell that this process is at work; without it the supervisor takes it for one that hangs."""
        with suppress(OSError):
            self._send(None)

    def _send(self, asked: tuple[int, Question] | None) -> None:
        with self._lock:
            self._connection.send(asked)

    def _read(self) -> None:
        # The supervisor's end is gone with the supervisor: this process is told so otherwise, and ends.
        with suppress(EOFError, OSError):
            while True:
                number, answer = self._connection.recv()
                if (waiting := self._open.get(number)) is not None:
                    waiting.set_result(answer)
