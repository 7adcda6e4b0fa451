"""Waiting for the first byte of many connections."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.association.first_byte import FirstByte


@contextmanager
def watching(seconds: float) -> Iterator[tuple[FirstByte[str], queue.Queue[tuple[str, str]]]]:
    told: queue.Queue[tuple[str, str]] = queue.Queue()
    watch = FirstByte[str](
        seconds, spoken=lambda who: told.put(("spoken", who)), silent=lambda who: told.put(("silent", who))
    )
    watch.start()
    try:
        yield watch, told
    finally:
        watch.stop()


def test_each_is_told_once() -> None:
    pairs = {name: socket.socketpair() for name in ("speaks", "has spoken", "leaves", "forgotten", "waits")}
    try:
        with watching(60.0) as (watch, told):
            pairs["has spoken"][0].sendall(b"x")
            for name, (_, near) in pairs.items():
                watch.add(near, name)
            assert told.get(timeout=30) == ("spoken", "has spoken")
            assert watch.forget(pairs["forgotten"][1])
            assert not watch.forget(pairs["forgotten"][1])
            for name in ("forgotten", "speaks"):
                pairs[name][0].sendall(b"xx")
            assert told.get(timeout=30) == ("spoken", "speaks")
            pairs["speaks"][0].sendall(b"x")
            pairs["leaves"][0].close()
            assert told.get(timeout=30) == ("spoken", "leaves")
            assert not watch.forget(pairs["speaks"][1])
        assert told.empty()
    finally:
        for pair in pairs.values():
            for one in pair:
                one.close()


def test_who_says_nothing_in_time() -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    try:
        with watching(0.1) as (watch, told):
            for number, (_, near) in enumerate(pairs):
                watch.add(near, str(number))
            assert [told.get(timeout=30) for _ in pairs] == [("silent", str(number)) for number in range(3)]
    finally:
        for pair in pairs:
            for one in pair:
                one.close()


def test_one_that_never_started_stops() -> None:
    FirstByte[str](1.0, spoken=lambda _who: None, silent=lambda _who: None).stop()
