"""Receivers of notifications on the loopback: a mail server and a web server, made of sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Mail
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Every secret of these servers.
PASSWORD = "correct-horse-battery"


@dataclass
class MailServer:
    """A mail server (RFC 5321) with STARTTLS (RFC 3207), AUTH PLAIN and LOGIN (RFC 4954).

    Attributes
    ----------
    port: it listens on 127.0.0.1
    mails: what it took: envelope sender, recipients, message
    refuse: recipients that it does not take
    answer: verb -> what it answers instead
    encrypted: whether the last message came encrypted
    """

    port: int = 0
    mails: list[tuple[str, list[str], Mail]] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    answer: dict[str, str] = field(default_factory=dict)
    offers_tls: bool = True
    encrypted: bool = False
    silent: bool = False


@contextmanager
def mail_server(
    context: ssl.SSLContext | None = None, *, implicit: bool = False, **options: Any
) -> Iterator[MailServer]:
    """Run a mail server until the block ends; ``context`` is for TLS, from the first byte on if ``implicit``."""
    server = MailServer(offers_tls=context is not None and not implicit, **options)
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(10)
            with suppress(OSError, ssl.SSLError):
                if implicit and context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                if server.silent:
                    over.wait(10)
                else:
                    _converse(server, connection, context)
            with suppress(OSError):
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _converse(server: MailServer, connection: socket.socket, context: ssl.SSLContext | None) -> None:
    with ExitStack() as open_files:
        session = _Session(server, connection, context, open_files)
        while (line := session.read()) and session.answer(line):
            pass


class _Session:
    """One connection of a mail server."""

    def __init__(
        self, server: MailServer, connection: socket.socket, context: ssl.SSLContext | None, open_files: ExitStack
    ) -> None:
        self._server = server
        self._context = context
        self._open_files = open_files
        self._use(connection)
        self._sender = ""
        self._recipients: list[str] = []
        self._say(server.answer.get("HELLO", "220 mail.example"))

    def _use(self, connection: socket.socket) -> None:
        self._connection = self._open_files.enter_context(connection)
        self._file = self._open_files.enter_context(connection.makefile("rwb", buffering=0))

    def _say(self, text: str) -> None:
        self._file.write(text.encode() + b"\r\n")

    def read(self) -> str:
        """The next line, without its end."""
        return self._file.readline().decode("latin-1").strip()

    def answer(self, line: str) -> bool:
        """Answer a command; whether another may follow."""
        verb = line.split(maxsplit=1)[0].upper()
        if verb in self._server.answer:
            self._say(self._server.answer[verb])
        elif verb == "EHLO":
            encrypted = isinstance(self._connection, ssl.SSLSocket)
            offers = [
                "mail.example",
                *(["STARTTLS"] if self._server.offers_tls and not encrypted else []),
                "AUTH PLAIN",
            ]
            for number, offer in enumerate(offers):
                self._say(f"250{'-' if number + 1 < len(offers) else ' '}{offer}")
        elif verb == "STARTTLS" and self._context is not None:
            self._say("220 go on")
            self._use(self._context.wrap_socket(self._connection, server_side=True))
        elif verb == "AUTH":
            _, user, password = b64decode(line.split()[2]).decode().split("\0")
            known = (user, password) == ("gateway", PASSWORD)
            self._say("235 welcome" if known else f"535 {user} may not come in with {password}")
        elif verb == "MAIL":
            self._sender, self._recipients = _address(line), []
            self._say("250 yes")
        elif verb == "RCPT":
            refused = _address(line) in self._server.refuse
            if not refused:
                self._recipients.append(_address(line))
            self._say("550 nobody here" if refused else "250 yes")
        elif verb == "DATA":
            self._take()
        elif verb == "QUIT":
            self._say("221 bye")
            return False
        else:
            self._say("250 yes")
        return True

    def _take(self) -> None:
        self._say("354 go on")
        content = b""
        while (part := self._file.readline()) != b".\r\n":
            content += part.removeprefix(b".") if part.startswith(b"..") else part
        self._server.encrypted = isinstance(self._connection, ssl.SSLSocket)
        self._server.mails.append((self._sender, self._recipients, message_from_bytes(content, policy=default)))
        self._say("250 taken")


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


@dataclass
class WebServer:
    """A receiver of webhooks.

    Attributes
    ----------
    url: where it listens
    posts: what came: path, headers, body
    status: what it answers
    headers: further headers of its answers
    """

    url: str = ""
    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    endless: bool = False


@contextmanager
def web_server(context: ssl.SSLContext | None = None, *, port: int = 0) -> Iterator[WebServer]:
    """Run a receiver of webhooks until the block ends, by TLS with ``context``."""
    found = WebServer()
    found.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posts.append((self.path, dict(self.headers), body))
            found.gate.wait(10)
            with suppress(OSError):
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "1000000000" if found.endless else "0")
                self.end_headers()
                if found.endless:
                    self.wfile.write(b"x" * 65536)

        def do_GET(self) -> None:
            raise AssertionError("nobody follows redirects")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    found.url = f"{'http' if context is None else 'https'}://localhost:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
