"""The process that answers over HTTP dies or hangs: the health is told all the same, and nothing else stops."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
import requests

from gateway.console.serving import serve
from gateway.service import supervisor as supervisor_module
from gateway.service.supervisor import Supervisor
from gateway.settings.configuration import Settings
from tests.fixtures.ports import free_ports, wait_until


def test_p7_the_health_is_told_whatever_becomes_of_who_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_HANG_SECONDS", 2.5)
    dicom_port, http_port = free_ports(2)
    supervisor = Supervisor(
        Settings.model_validate(
            {
                "data": tmp_path / "data",
                "dicom": {"host": "127.0.0.1", "port": dicom_port},
                "http": {"host": "127.0.0.1", "port": http_port},
                "workers": {"deidentify": 1},
            }
        ),
        serve,
    )

    def get(path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{http_port}{path}", timeout=120)

    def pid() -> int:
        child = supervisor._answering.child
        return 0 if child is None or child.pid is None else child.pid

    def is_ready() -> bool:
        return all(supervisor.children().values())

    thread = threading.Thread(target=supervisor.run, daemon=True)
    thread.start()
    try:
        wait_until(is_ready, what="the gateway is at work")
        others = {one.name: one.child for one in supervisor._posts if one.name != "http"}
        hanging = pid()
        # Nobody accepts any more: the connection waits at the port, which is the supervisor's, for who comes next.
        os.kill(hanging, signal.SIGSTOP)
        assert get("/healthz").status_code == 200
        assert pid() not in (0, hanging)
        wait_until(is_ready, what="it answers again")
        dying = pid()
        os.kill(dying, signal.SIGKILL)
        wait_until(lambda: pid() not in (0, dying) and is_ready(), what="another one has taken its place")
        assert get("/readyz").json()["status"] == "ok"
        assert 'gateway_worker_restarts_total{role="http"} 2.0' in get("/metrics").text
        # The others have not noticed.
        assert others == {one.name: one.child for one in supervisor._posts if one.name != "http"}
    finally:
        supervisor.stop()
        thread.join(120)
    assert not thread.is_alive()
    with pytest.raises(requests.ConnectionError):
        get("/healthz")
