"""A small HTTP server that behaves as badly as a test wants, and parcels to send to it."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from gateway.deliver.base import Parcel
from gateway.deliver.destination_settings import DestinationSettings
from gateway.dicom.segments import FileRange
from gateway.sections.section import reading

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


_S = TypeVar("_S", bound=DestinationSettings)


def section(kind: type[_S], *, environ: dict[str, str] | None = None, **fields: object) -> _S:
    """A section of a destination, as gateway.yaml has it; the URL may be one that it would not take."""
    url = fields.get("url")
    with reading(environ=environ or {}):
        made = kind.model_validate(fields | ({"url": str(url).partition("?")[0]} if url is not None else {}))
    return made if url is None else made.model_copy(update={"url": url})


def make_parcel(
    directory: Path,
    number: int,
    *,
    content: bytes | None = None,
    study: str = "2.25.1000",
    sop_uid: str | None = None,
    patient: str = "PSEUDONYM-1",
    pieces: int = 2,
) -> Parcel:
    """A parcel whose bytes lie in pieces, with other bytes between them, in one file."""
    content = content if content is not None else f"instance {number} ".encode() * 100
    path = directory / f"{number}.dcm"
    cut = max(1, -(-len(content) // pieces))
    parts, stored = [], b"before"
    for start in range(0, len(content), cut):
        piece = content[start : start + cut]
        parts.append(FileRange(path, len(stored), len(piece)))
        stored += piece + b"between"
    path.write_bytes(stored)
    return Parcel(
        delivery_id=number,
        patient_id=patient,
        study_uid=study,
        series_uid=f"{study}.1",
        sop_uid=sop_uid or f"2.25.{number + 1}",
        sop_class_uid=CT,
        transfer_syntax=EXPLICIT,
        length=len(content),
        parts=tuple(parts),
    )


def content_of(parcel: Parcel) -> bytes:
    return b"".join(part.path.read_bytes()[part.offset : part.offset + part.length] for part in parcel.parts)


@dataclass
class Request:
    """One request as it came in."""

    connection: int
    head: str
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split("\r\n", 1)[0]

    @property
    def fields(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}

    @property
    def parts(self) -> list[tuple[str, bytes]]:
        """Head and content of each part of the multipart body."""
        boundary = self.fields["content-type"].rpartition("boundary=")[2].encode()
        pieces = (b"\r\n" + self.body).split(b"\r\n--" + boundary)
        assert pieces[0] == b""
        assert pieces[-1] == b"--\r\n"
        parts = []
        for piece in pieces[1:-1]:
            head, _, content = piece.partition(b"\r\n\r\n")
            parts.append((head.decode("ascii").strip(), content))
        return parts


@dataclass
class Exchange:
    """One request on a connection, read as far as the behaviour wants, and answered by it."""

    sock: socket.socket
    connection: int
    peer: Peer
    head: str
    read: bytearray
    request: Request = field(init=False)

    def __post_init__(self) -> None:
        self.request = Request(self.connection, self.head, b"")
        self.peer.requests.append(self.request)

    def read_body(self, count: int | None = None) -> bytes:
        """The body, or its first bytes."""
        wanted = int(self.request.fields["content-length"]) if count is None else count
        while len(self.read) < wanted:
            chunk = self.sock.recv(1 << 16)
            if not chunk:
                raise ConnectionError
            self.read += chunk
        self.request.body = bytes(self.read[:wanted])
        return self.request.body

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(
        self, status: int, body: bytes | str = b"", *, fields: Sequence[tuple[str, str]] = (), close: bool = False
    ) -> None:
        body = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}", *(f"{n}: {v}" for n, v in fields)]
        if close:
            lines.append("Connection: close")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)
        if close:
            raise Hangup

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Hangup

    def hold(self) -> None:
        """Do nothing until the test is over."""
        self.peer.over.wait()
        raise Hangup


class Hangup(Exception):
    """The behaviour is done with the connection."""


Behaviour = Callable[[Exchange], None]


class Peer:
    """Answers the n-th request as the n-th behaviour says; the last behaviour repeats."""

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None, receive_buffer: int = 0) -> None:
        self._behaviours = list(behaviours)
        self._tls = tls
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket()
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[Request] = []
        self.connections = 0
        self.handshake_failures = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}/dicom-web"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
        except OSError:
            self.handshake_failures += 1
            sock.close()
            return
        self._sockets.append(sock)
        with sock:
            rest = b""
            try:
                while True:
                    while b"\r\n\r\n" not in rest:
                        chunk = sock.recv(1 << 16)
                        if not chunk:
                            return
                        rest += chunk
                    head, _, rest = rest.partition(b"\r\n\r\n")
                    with self._lock:
                        behaviour = self._behaviours[0] if len(self._behaviours) == 1 else self._behaviours.pop(0)
                    exchange = Exchange(sock, number, self, head.decode("ascii"), bytearray(rest))
                    behaviour(exchange)
                    length = int(exchange.request.fields["content-length"])
                    exchange.read_body()
                    rest = bytes(exchange.read[length:])
            except (Hangup, OSError):
                return


def uids_of(request: Request, parcels: Sequence[Parcel]) -> list[str]:
    """The UIDs of the parcels that came in, told by their content."""
    known = {content_of(parcel): parcel.sop_uid for parcel in parcels}
    return [known[content] for _, content in request.parts]


def listing(
    stored: Sequence[str] = (),
    failed: Sequence[tuple[str, int | None]] = (),
    other: Sequence[int] = (),
    warnings: Sequence[tuple[str, int]] = (),
) -> dict[str, Any]:
    """A Store Instances Response as DICOM JSON."""

    def item(uid: str, tag: str = "", number: int | None = None) -> dict[str, Any]:
        content: dict[str, Any] = {
            "00081150": {"vr": "UI", "Value": [CT]},
            "00081155": {"vr": "UI", "Value": [uid]},
        }
        if number is not None:
            content[tag] = {"vr": "US", "Value": [number]}
        return content

    response: dict[str, Any] = {}
    succeeded = [item(uid) for uid in stored] + [item(uid, "00081196", number) for uid, number in warnings]
    if succeeded:
        response["00081199"] = {"vr": "SQ", "Value": succeeded}
    if failed:
        response["00081198"] = {"vr": "SQ", "Value": [item(uid, "00081197", number) for uid, number in failed]}
    if other:
        response["0008119A"] = {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [n]}} for n in other]}
    return response


def store_all(parcels: Sequence[Parcel], *, status: int = 200, refuse: Sequence[int] = ()) -> Behaviour:
    """A good server: lists what it was sent. Requests with a parcel numbered in ``refuse`` get a bare 400."""

    def behave(exchange: Exchange) -> None:
        exchange.read_body()
        uids = uids_of(exchange.request, parcels)
        if any(parcel.sop_uid in uids and parcel.delivery_id in refuse for parcel in parcels):
            exchange.answer(400)
        else:
            exchange.answer(status, json.dumps(listing(uids)))

    return behave


def answer(status: int, body: bytes | str = b"", **more: Any) -> Behaviour:
    """Reads the request and answers so."""

    def behave(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer(status, body, **more)

    return behave
