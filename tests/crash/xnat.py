"""A gateway that is killed while it sends to XNAT, again and again."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests

from gateway.ledger import DeliveryState
from gateway.settings.configuration import load_settings
from gateway.treatment.resources import open_ledger
from tests.fixtures.dcmtk import storescu
from tests.fixtures.ports import free_ports, wait_until
from tests.fixtures.warm import Started, start_process
from tests.fixtures.xnat import xnat_server
from tests.fixtures.xnat.petct import faults_of, pet_ct

_ROOT: Final = Path(__file__).resolve().parents[2]
CT: Final = 12
PT: Final = 3
_CONFIGURATION: Final = """
destinations:
  xnat:
    type: xnat
    url: '{url}'
    project: CHEST
    auth: {{type: basic, username: gateway, password: '${{XNAT_PASSWORD}}'}}
    max_instances: 5
    ask_seconds: 0.3
    gather_seconds: 1
projects: {{default: {{destinations: [xnat]}}}}
workers: {{deidentify: 1}}
retry: {{first_seconds: 0.1, longest_seconds: 1}}
"""


@dataclass(slots=True)
class Figures:
    """What a run counted. ``faults`` must be empty."""

    kills: int = 0
    during_uploads: int = 0
    broken_off: int = 0
    studies: int = 0
    imports: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        numbers = (
            f"kills {self.kills}, while XNAT read a body {self.during_uploads}, of these broke off {self.broken_off}, "
            f"studies {self.studies} of {CT} CT and {PT} PT, imports {self.imports}"
        )
        return "\n".join([numbers, *self.faults])


class _Gateway:
    """One data directory, and the lives of the gateways on it."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self.dicom_port, self._http_port = free_ports(2)
        self._configuration = folder / "gateway.yaml"
        self._configuration.write_text(_CONFIGURATION.format(url=url), encoding="utf-8")
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "GATEWAY_CONFIG": str(self._configuration),
            "GATEWAY_DATA": str(folder / "data"),
            "GATEWAY_DICOM_PORT": str(self.dicom_port),
            "GATEWAY_HTTP_PORT": str(self._http_port),
            "XNAT_PASSWORD": "s3cret",
        }
        self._process: Started | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with (self._folder / "gateway.log").open("ab") as output:
            self._process = start_process(
                [sys.executable, "-m", "gateway", "run"], output=output, environ=self._environ, cwd=_ROOT,
                new_session=True,
            )  # fmt: skip
        wait_until(self._is_ready, what="the gateway is ready", seconds=120)

    def kill(self) -> None:
        """End all its processes without warning."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def unfinished(self) -> int:
        """How many instances have not arrived."""
        bearer = {"Authorization": f"Bearer {(self._folder / 'data' / 'http.token').read_text().strip()}"}
        status = requests.get(f"http://127.0.0.1:{self._http_port}/api/status", headers=bearer, timeout=30).json()
        return sum(row["count"] for row in status["instances"] if row["state"] not in {"delivered", "purged"})

    def problems(self) -> list[str]:
        """What its account and its deliveries say that must not be."""
        ledger = open_ledger(load_settings(self._configuration, self._environ))
        try:
            states = {(one.state, one.code) for one in ledger.deliveries.entries(limit=100_000)}
            found = [f"a delivery is {state}: {code}" for state, code in states if state != DeliveryState.CONFIRMED]
            return [*ledger.accounts.draw().problems, *found]
        finally:
            ledger.close()

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self._folder / "gateway.log").read_text(encoding="utf-8", errors="replace")
            raise AssertionError(f"the gateway ended with {self._process.returncode}\n{log[-3000:]}")
        try:
            return requests.get(f"http://127.0.0.1:{self._http_port}/readyz", timeout=5).ok
        except requests.RequestException:
            return False


def torture_xnat(folder: Path, *, kills: int, seed: int) -> Figures:
    """Kill a gateway while it sends studies to XNAT, and compare what has arrived with what it took.

    Parameters
    ----------
    folder: for everything
    kills: how often
    seed: of the moments
    """
    moments = random.Random(seed)
    figures = Figures()
    with xnat_server(folder / "xnat", slow=True) as double:
        gateway = _Gateway(folder / "gateway", double.url)
        gateway.start()
        try:
            while figures.kills < kills:
                number = figures.studies = figures.studies + 1
                double.receiving.clear()
                for part in pet_ct(folder / "in", number, ct=CT, pt=PT):
                    assert storescu(gateway.dicom_port, [part], options=["+sd", "+r"]).status == 0
                # One or two kills for each study, at some moment of an import.
                for _ in range(moments.choice([1, 2])):
                    seen = double.receiving.wait(20)
                    time.sleep(moments.uniform(0.0, 0.12))
                    double.cut.set()
                    gateway.kill()
                    figures.kills += 1
                    figures.during_uploads += seen
                    double.cut.clear()
                    double.receiving.clear()
                    gateway.start()
            wait_until(lambda: gateway.unfinished() == 0, what="everything is delivered", seconds=240)
            gateway.stop()
            figures.broken_off = double.broken_off
            figures.imports = len(double.made("POST", "/data/services/import"))
            figures.faults = gateway.problems() + faults_of(double, studies=figures.studies, instances=CT + PT)
        finally:
            gateway.kill()
    return figures
