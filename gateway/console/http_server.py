"""The HTTP server: ``/healthz`` and ``/readyz`` for everybody, figures and lists for those who may see them.

Starlette on uvicorn, in a thread with an event loop of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import uvicorn

from gateway.association.listener import BACKLOG
from gateway.console.application import HEALTH, READINESS, application
from gateway.console.connections import Client, Connections, HttpProtocol
from gateway.console.protection import Protection
from gateway.console.resource import Answer, Resource
from gateway.metrics import CONTENT_TYPE
from gateway.service.health import Health
from gateway.settings.accounts import Role

__all__ = ["HttpServer"]

#: How often the process says that its event loop turns.
_AT_WORK_SECONDS: Final = 2
#: Answers under way at the end may take so long.
_LAST_SECONDS: Final = 1


class HttpServer:
    """Answers monitoring systems and people.

    Parameters
    ----------
    listening
        socket of the port, which is listened on from ``start`` on; closed at the end
    metrics
        gives the figures in Prometheus' text format
    alive
        whether the gateway works; restart it when not (``/healthz``)
    ready
        whether instances are accepted and processed (``/readyz``)
    resources
        path -> what else there is to see
    protection
        who may see what is not for everybody
    at_work
        called every few seconds while requests are answered
    """

    def __init__(
        self,
        listening: socket.socket,
        *,
        metrics: Callable[[], bytes],
        alive: Callable[[], Health],
        ready: Callable[[], Health],
        resources: Mapping[str, Resource] | None = None,
        protection: Protection | None = None,
        at_work: Callable[[], None] = lambda: None,
    ) -> None:
        self.port = int(listening.getsockname()[1])
        self._listening = listening
        self._at_work = at_work
        self._connections = Connections(listening, protection or Protection(), protocol=self._protocol)
        app = application(
            {
                "/metrics": Resource(lambda _query: Answer(metrics(), CONTENT_TYPE), Role.VIEWER, is_for_machine=True),
                HEALTH: Resource(lambda _query: _report(alive()), None),
                READINESS: Resource(lambda _query: _report(ready()), None),
                **(resources or {}),
            },
            protection or Protection(),
            refuse=self._connections.refuse,
        )
        self._config = uvicorn.Config(
            app,
            http=HttpProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            # Requests are not logged: monitoring asks every few seconds, and a URL may hold anything.
            log_config=None,
            log_level="critical",
            access_log=False,
            # Whose word counts is told by the configuration alone.
            proxy_headers=False,
            server_header=False,
            headers=[("Server", "gateway")],
            timeout_graceful_shutdown=_LAST_SECONDS,
            callback_notify=self._turns,
            timeout_notify=_AT_WORK_SECONDS,
        )
        self._server = _Server(self._config, self._connections)
        self._failure: BaseException | None = None
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name="http", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        # From the first time on whoever connects waits, even if this process has died meanwhile.
        self._listening.listen(BACKLOG)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and wait a moment for answers under way.

        Raises whatever ended the server before.
        """
        if self._thread.ident is not None:
            self._server.stop()
            self._thread.join()
        self._listening.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that stops it
            self._failure = error

    async def _serve(self) -> None:
        await self._server.serve(sockets=[])
        await self._connections.end()

    async def _turns(self) -> None:
        self._at_work()

    def _protocol(self, client: Client) -> HttpProtocol:
        return HttpProtocol(
            client,
            self._connections,
            config=self._config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state,
        )


class _Server(uvicorn.Server):
    """uvicorn's, whose connections are accepted by us, and which wakes once a second instead of ten times."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    def stop(self) -> None:
        """Begin to end; may be called from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._ending.set)

    async def main_loop(self) -> None:
        """Accept connections until the end."""
        self._loop = asyncio.get_running_loop()
        ending = self._loop.create_task(self._ending.wait())
        accepting = self._loop.create_task(self._connections.accept())
        # It sets the headers of answers, and what is called every few seconds.
        while not await self.on_tick(0):
            await asyncio.wait((ending, accepting), timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            if accepting.done():
                # It does not end by itself: raises what ended it.
                accepting.result()
        for task in (ending, accepting):
            task.cancel()


def _report(health: Health) -> Answer:
    body = {
        "status": "ok" if health.is_good else "failing",
        "problems": list(health.problems),
        "notes": list(health.notes),
    }
    return Answer.of(body, status=HTTPStatus.OK if health.is_good else HTTPStatus.SERVICE_UNAVAILABLE)
