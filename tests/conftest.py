"""Fixtures that any test may ask for; each starts a real peer of its own on loopback ports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.dcmtk import StoreScp, storescp
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.orthanc import Orthanc, orthanc_server


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
