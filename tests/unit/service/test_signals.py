"""What signals ask for is done, whatever the main thread holds."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from gateway.service.process import Child, ChildProcess
from gateway.service.signals import calling
from gateway.settings.configuration import Settings


def test_an_action_may_take_the_lock_that_the_main_thread_holds() -> None:
    lock, done = threading.Lock(), threading.Event()

    def action() -> None:
        if lock.acquire(timeout=10):
            lock.release()
            done.set()

    with calling({signal.SIGTERM: action}):
        with lock:
            os.kill(os.getpid(), signal.SIGTERM)
            # Had the main thread to do it, it would have tried by now.
            assert not done.wait(0.05)
        assert done.wait(10)


def test_each_signal_calls_its_own() -> None:
    called = {number: threading.Event() for number in (signal.SIGHUP, signal.SIGTERM)}
    foreign: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: foreign.append(number))
    try:
        with calling({number: event.set for number, event in called.items()}):
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGHUP)
            assert called[signal.SIGHUP].wait(10)
            assert not called[signal.SIGTERM].is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            assert called[signal.SIGTERM].wait(10)
        assert foreign == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_everything_is_as_before_in_the_end() -> None:
    threads = threading.active_count()
    before = signal.getsignal(signal.SIGTERM)
    with calling({signal.SIGTERM: threading.Event().set}):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == threads


def test_signals_may_be_ignored_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with calling({signal.SIGTERM: threading.Event().set}, afterwards=signal.SIG_IGN):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def wait_all_the_time(child: Child) -> None:
    """A job that holds the lock of ``stopping`` nearly always: a wait takes it when it begins and when it ends."""
    child.is_ready()
    while not child.stopping.wait(0):
        pass


def test_a_process_that_waits_is_stopped(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data": tmp_path})
    (tmp_path / "metrics").mkdir()
    processes = [ChildProcess(f"waiting-{number}", wait_all_the_time, settings, {}, node="node") for number in range(8)]
    try:
        for process in processes:
            assert process._ready.wait(60)
        for process in processes:
            process.terminate()
        assert [process.join(20) for process in processes] == [True] * len(processes)
        assert [process.exit_code for process in processes] == [0] * len(processes)
    finally:
        for process in processes:
            if process.is_alive:
                process.kill()
            process.close()
