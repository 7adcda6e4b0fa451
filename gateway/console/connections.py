"""The connections of the HTTP port: who may stay, TLS, and how long each step may take (promise P7).

uvicorn reads and writes HTTP; it sees a connection when TLS is agreed on, and knows of no share of one address. So
connections are accepted here, and handed to it one by one. Whoever has not sent a whole request gives way to newer
clients (``gateway.association.admission``).
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.association.addresses import network_of
from gateway.association.admission import Places, displaced, has_unread
from gateway.association.listener import normal_address
from gateway.association.tls import handshake_failure
from gateway.console.protection import Protection
from gateway.log import Throttle

__all__ = ["Connections", "HttpProtocol"]

log = structlog.get_logger(__name__)

#: Longest answer as a whole, and body of a request: a client that takes a byte now and then must not keep its place.
_PATIENCE: Final = 60.0
#: Of the head of a request.
_LONGEST_HEAD: Final = 32768
#: The request and its headers.
_MOST_LINES: Final = 101
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
#: Clients that have been cut and are not gone yet: more are not waited for.
_LEAVING: Final = 64
#: Before the next try when a connection cannot be accepted, such as for want of file descriptors.
_PAUSE_SECONDS: Final = 0.1
#: Entries about refusals per minute and reason.
_LOGGED: Final = 10


@dataclass(slots=True, eq=False)
class Client:
    """A connection.

    Attributes
    ----------
    connection
        its socket
    address
        IP address of the peer
    network
        what stands for it where addresses are counted
    opened
        when it came, by the loop's clock
    is_known
        nobody is, before it has proven anything
    asked
        whether its whole request has come
    spoken
        whether it has sent something
    displaced
        whether it has been cut, and why has been told
    transport
        once TLS is agreed on
    gone
        set when the connection has ended
    """

    connection: socket.socket
    address: str
    network: str
    opened: float
    is_known: bool = False
    asked: bool = False
    spoken: bool = False
    displaced: bool = False
    transport: asyncio.Transport | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def has_spoken(self) -> bool:
        """Whether it has sent something, read or not."""
        self.spoken = self.spoken or has_unread(self.connection)
        return self.spoken

    @property
    def is_served(self) -> bool:
        """Whether it has its answer, and is still there: it is slow to read it, or to agree on the end of TLS."""
        return self.transport is not None and self.transport.is_closing()

    def cut(self) -> None:
        """End the connection at once, at whatever it is."""
        if self.transport is not None:
            self.transport.abort()
            return
        with suppress(OSError):
            # The handshake, or the wait for it, ends by itself then.
            self.connection.shutdown(socket.SHUT_RDWR)


class Connections:
    """Accepts the connections of a port, and keeps who is connected. Of one event loop.

    Parameters
    ----------
    listening
        socket that is listened on
    protection
        how many may be connected, how long, by TLS or not
    protocol
        makes what reads and writes HTTP for a client
    """

    def __init__(
        self, listening: socket.socket, protection: Protection, *, protocol: Callable[[Client], asyncio.Protocol]
    ) -> None:
        self._listening = listening
        self._protection = protection
        self._protocol = protocol
        self._places = Places(protection.clients, protection.clients_per_address)
        #: In the order in which they came, with what waits for their end.
        self._clients: dict[Client, asyncio.Task[None]] = {}
        self._throttle = Throttle(most=_LOGGED)

    async def accept(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError:
                log.error("connection not accepted")  # noqa: TRY400 - for want of descriptors, mostly
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._take(connection, normal_address(str(address[0])))
            # Of a burst, whoever had to leave is gone before there are many.
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Cut whoever is still connected."""
        tasks = list(self._clients.values())
        for client in self._clients:
            client.displaced = True
            client.cut()
        if tasks:
            await asyncio.wait(tasks, timeout=_PATIENCE)

    def refuse(self, reason: str, address: str) -> None:
        """Count that somebody was refused, and log it, if it is no flood."""
        self._protection.refused(reason)
        withheld = self._throttle.withheld(reason)
        if withheld is not None:
            log.warning("http access denied", reason=reason, peer=address, withheld=withheld or None)

    def _take(self, connection: socket.socket, address: str) -> None:
        """Let a newcomer stay, if there is a place or somebody has to leave for it."""
        loop = asyncio.get_running_loop()
        client = Client(connection, address, network_of(address), loop.time())
        pending = [one for one in self._clients if not one.asked and not one.displaced]
        afforded, leaving = displaced(client, pending, self._places)
        if len(self._clients) - len(pending) >= self._protection.clients + _LEAVING:
            afforded &= self._part_with_one()
        if not afforded:
            self.refuse("connections", address)
            connection.close()
            return
        if leaving is not None:
            leaving.displaced = True
            self.refuse("displaced", leaving.address)
            leaving.cut()
        self._clients[client] = loop.create_task(self._keep(client))

    def _part_with_one(self) -> bool:
        """Cut whoever has had its answer for longest and does not go; whether there was one."""
        served = next((one for one in self._clients if one.is_served and not one.displaced), None)
        if served is None:
            return False
        served.displaced = True
        served.cut()
        return True

    async def _keep(self, client: Client) -> None:
        """The whole life of a connection."""
        loop = asyncio.get_running_loop()
        late = [
            loop.call_at(client.opened + self._protection.request_seconds, self._is_late, client),
            loop.call_at(client.opened + _PATIENCE, client.cut),
        ]
        try:
            await self._hand_over(client)
            await client.gone.wait()
        except OSError as error:
            if not client.displaced:
                self.refuse(handshake_failure(error), client.address)
        finally:
            for each in late:
                each.cancel()
            self._clients.pop(client, None)
            if client.transport is None:
                client.connection.close()

    async def _hand_over(self, client: Client) -> None:
        """Agree on TLS, if it is asked for, and let uvicorn read.

        Raises
        ------
        OSError
            TLS was not agreed on
        """
        loop, tls = asyncio.get_running_loop(), self._protection.tls
        if tls is not None:
            await self._first_word(client)
        await loop.connect_accepted_socket(
            lambda: self._protocol(client),
            client.connection,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else _PATIENCE,
        )

    @staticmethod
    async def _first_word(client: Client) -> None:
        """Wait for the first byte without reading it: the handshake does not tell that it has begun."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(client.connection, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(client.connection)
        client.spoken = True

    def _is_late(self, client: Client) -> None:
        """The time for a whole request is over."""
        if client.asked:
            return
        if not client.displaced:
            client.displaced = True
            self.refuse("timeout" if client.transport is not None else "tls-timeout", client.address)
        client.cut()


class HttpProtocol(H11Protocol):
    """uvicorn's, which also says how far a client has come, and reads no head that is too long.

    Parameters
    ----------
    client
        whose connection it is
    connections
        of the port
    more
        what uvicorn gives
    """

    def __init__(self, client: Client, connections: Connections, **more: Any) -> None:
        super().__init__(**more)
        self._client = client
        self._connections = connections
        self._head = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """There is a connection, and TLS is agreed on."""
        self._client.transport = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        try:
            super().connection_lost(exc)
        finally:
            self._client.gone.set()

    def data_received(self, data: bytes) -> None:
        """A part of a request has come."""
        client = self._client
        client.spoken = True
        if not client.asked:
            self._head += data
            end = _END_OF_HEAD.search(self._head)
            length = len(self._head) if end is None else end.end()
            if length > _LONGEST_HEAD or self._head.count(b"\n", 0, length) > _MOST_LINES + 1:
                client.displaced = True
                self._connections.refuse("head-too-long", client.address)
                self.transport.abort()
                return
            if end is not None:
                client.asked = True
                self._head.clear()
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more; whether it may still get its answer."""
        # There is no cycle before the first request.
        return self.scheme == "http" and not getattr(self.cycle, "more_body", True)
