"""A STOW-RS server for the tests of faults: it lies, falls silent and breaks off as it was told, and then is honest."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from io import BytesIO
from threading import Event
from typing import TypeAlias
from urllib.parse import parse_qs

import pydicom

from tests.unit.deliver.peers import Exchange, listing

#: SOP Instance UID -> the file.
Batch: TypeAlias = dict[str, bytes]
#: How one store request is met instead of honestly.
Lie: TypeAlias = Callable[["Archive", Exchange], None]

_PROCESSING_FAILURE, _OUT_OF_RESOURCES = 0x0110, 0xA700


class Archive:
    """The behaviour of a ``Peer``: every lie is told once, in order; after the last one the archive is honest.

    Parameters
    ----------
    lies: the first waits until ``opened`` is set; until then the archive is busy
    """

    def __init__(self, *lies: Lie) -> None:
        self._lies = list(lies)
        #: Asked before every request: SHA-256 of all outputs that the gateway holds for confirmed.
        self.confirmed: Callable[[], set[str]] = set
        self.opened = Event()
        #: Names of the lies that were told.
        self.told: list[str] = []
        self.stored: Batch = {}
        #: Digests that were confirmed while the archive did not have their instances.
        self.unfounded: set[str] = set()

    @property
    def digests(self) -> set[str]:
        """SHA-256 of everything that the archive has."""
        return {hashlib.sha256(content).hexdigest() for content in self.stored.values()}

    def __call__(self, exchange: Exchange) -> None:
        """Meet one request."""
        self.unfounded |= self.confirmed() - self.digests
        if exchange.request.line.startswith("GET "):
            self._find(exchange)
        elif not self.opened.is_set():
            is_busy(self, exchange)
        elif self._lies:
            lie = self._lies.pop(0)
            self.told.append(lie.__name__)
            lie(self, exchange)
        else:
            batch = received(exchange)
            self.keep(batch)
            exchange.answer(200, json.dumps(listing(list(batch))))

    def keep(self, batch: Batch) -> None:
        """Store; what comes again must be the same."""
        for uid, content in batch.items():
            assert self.stored.setdefault(uid, content) == content

    def not_yet(self, lie: Lie) -> None:
        """Tell the lie later: it needs a larger batch."""
        self._lies.insert(0, lie)
        self.told.pop()

    def _find(self, exchange: Exchange) -> None:
        """QIDO-RS for one instance."""
        [uid] = parse_qs(exchange.request.line.split()[1].partition("?")[2])["SOPInstanceUID"]
        if uid in self.stored:
            exchange.answer(200, json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}}]))
        else:
            exchange.answer(204)


def received(exchange: Exchange) -> Batch:
    """The instances of a store request."""
    exchange.read_body()
    contents = [content for _, content in exchange.request.parts]
    return {str(pydicom.dcmread(BytesIO(content)).SOPInstanceUID): content for content in contents}


def is_busy(_archive: Archive, exchange: Exchange) -> None:
    """503."""
    exchange.read_body()
    exchange.answer(503)


def lists_all_as_failed(_archive: Archive, exchange: Exchange) -> None:
    """A success in which no instance succeeded."""
    exchange.answer(200, json.dumps(listing(failed=[(uid, _PROCESSING_FAILURE) for uid in received(exchange)])))


def keeps_half(archive: Archive, exchange: Exchange) -> None:
    """202, with the failed among the stored."""
    batch = received(exchange)
    if len(batch) < 2:
        archive.not_yet(keeps_half)
        exchange.answer(503)
        return
    uids = list(batch)
    half = len(uids) // 2
    archive.keep({uid: batch[uid] for uid in uids[:half]})
    failed = [(uid, _OUT_OF_RESOURCES) for uid in uids[half:]]
    exchange.answer(202, json.dumps(listing(uids[:half], failed)))


def says_nothing(_archive: Archive, exchange: Exchange) -> None:
    """200 without a word on what was stored: nothing was."""
    exchange.read_body()
    exchange.answer(200)


def keeps_one_and_is_silent(archive: Archive, exchange: Exchange) -> None:
    """No answer until the gateway has given up, though an instance was stored."""
    uid, content = next(iter(received(exchange).items()))
    archive.keep({uid: content})
    assert exchange.sock.recv(1) == b""


def breaks_off(_archive: Archive, exchange: Exchange) -> None:
    """A reset in the middle of the body."""
    exchange.read_body(int(exchange.request.fields["content-length"]) // 2)
    exchange.reset()


def is_slow(archive: Archive, exchange: Exchange) -> None:
    """Honest, and in no hurry to say so."""
    batch = received(exchange)
    archive.keep(batch)
    answer = json.dumps(listing(list(batch))).encode()
    exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n".encode())
    for start in range(0, len(answer), len(answer) // 4 + 1):
        time.sleep(0.1)
        exchange.send(answer[start : start + len(answer) // 4 + 1])


def claims_all_and_keeps_nothing(_archive: Archive, exchange: Exchange) -> None:
    """A plain lie, which only a question afterwards finds out."""
    exchange.answer(200, json.dumps(listing(list(received(exchange)))))
