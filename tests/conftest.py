"""The order of the tests, and fixtures that any of them may ask for; each starts a real peer of its own on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import prometheus_client.values
import pytest

from tests.fixtures.dcmtk import StoreScp, storescp
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.order import longest_first
from tests.fixtures.orthanc import Orthanc, orthanc_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    longest_first(items)


@pytest.fixture(autouse=True)
def figures_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test counts where processes share their figures is not found by the next one."""
    monkeypatch.setattr(prometheus_client.values, "ValueClass", prometheus_client.values.ValueClass)
    # Set first: what was not there is taken out again afterwards.
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """An empty Orthanc with DICOMweb."""
    with orthanc_server(tmp_path / "orthanc") as server:
        yield server


@pytest.fixture
def store_scp(tmp_path: Path) -> Iterator[StoreScp]:
    """dcmtk's storescp."""
    with storescp(tmp_path / "received") as server:
        yield server


@pytest.fixture
def gateway_process(tmp_path: Path) -> Iterator[GatewayProcess]:
    """The gateway on its embedded defaults, ready to receive."""
    with gateway_server(tmp_path / "gateway") as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that tests recorded, in whatever process they ran."""
    figures = [
        (report.nodeid, str(value))
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "figures" and report.when == "call"
    ]
    if figures:
        terminalreporter.section("figures")
        for nodeid, value in sorted(figures):
            terminalreporter.write_line(f"{nodeid}\n    {value}")
