"""Destinations that cost next to nothing and keep nothing: run as ``python -m benchmarks.sinks``.

A sink reads what it is sent and confirms it. It prints its port and then works until its standard input ends.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from typing import Final

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BOUNDARY: Final = re.compile(rb"boundary=([0-9a-f]+)")
_SOP_CLASS: Final = b"\x02\x00\x02\x00UI"
_SOP_INSTANCE: Final = b"\x02\x00\x03\x00UI"
#: File meta information begins every part, so the UIDs are near its start.
_NEAR: Final = 4096


def main() -> None:
    """Answer STOW-RS requests (PS3.18 10.5) on a free port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        print(server.getsockname()[1], flush=True)  # noqa: T201  (who started this waits for it)
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        sys.stdin.read()


def _accept(server: socket.socket) -> None:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(1 << 20)
    with connection:
        while True:
            # Nothing follows a request before its answer, so the buffer begins with a header.
            end, start = 0, -1
            while start < 0:
                count = connection.recv_into(memoryview(buffer)[end:])
                if not count:
                    return
                end += count
                start = buffer.find(b"\r\n\r\n", 0, end)
            head = bytes(buffer[:start])
            length, boundary = _LENGTH.search(head), _BOUNDARY.search(head)
            assert length is not None
            start += 4
            whole = start + int(length[1])
            if len(buffer) < whole:
                buffer.extend(bytes(whole - len(buffer)))
            with memoryview(buffer) as view:
                while end < whole:
                    count = connection.recv_into(view[end:whole])
                    if not count:
                        return
                    end += count
            answer = _answer(buffer, start, whole, b"--" + boundary[1]) if boundary is not None else b"[]"
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: %d\r\n\r\n" % len(answer)
                + answer
            )


def _answer(body: bytearray, start: int, end: int, delimiter: bytes) -> bytes:
    stored = []
    while 0 <= start < end:
        instance = _uid(body, _SOP_INSTANCE, start, min(start + _NEAR, end))
        if instance:
            stored.append(
                {
                    "00081150": {"vr": "UI", "Value": [_uid(body, _SOP_CLASS, start, min(start + _NEAR, end))]},
                    "00081155": {"vr": "UI", "Value": [instance]},
                }
            )
        start = body.find(delimiter, start + len(delimiter), end)
    return json.dumps({"00081199": {"vr": "SQ", "Value": stored}}).encode()


def _uid(body: bytearray, element: bytes, start: int, end: int) -> str:
    found = body.find(element, start, end)
    if found < 0:
        return ""
    length = int.from_bytes(body[found + 6 : found + 8], "little")
    return body[found + 8 : found + 8 + length].decode("ascii").rstrip("\0")


if __name__ == "__main__":
    main()
