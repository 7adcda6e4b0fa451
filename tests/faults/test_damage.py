"""A damaged ledger is found, refused, and rebuilt from the spool: the repair that docs/reliability.md describes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.console.serving import serve
from gateway.errors import LedgerDamaged
from gateway.ledger import Ledger
from gateway.service.supervisor import Supervisor
from gateway.settings.configuration import Settings
from tests.faults.books import SUCCESS, Books, Sender, arrived
from tests.fixtures.gateway import gateway_server
from tests.fixtures.ports import free_port
from tests.fixtures.warm import run_warm
from tests.unit.ledger.build import received

PAGE = 4096


def overwrite(path: Path) -> None:
    """Every page but the first, which holds the schema's beginning."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\xa5" * (size - PAGE))


def replace(path: Path) -> None:
    """The file is no database at all."""
    path.write_bytes(b"\xa5" * path.stat().st_size)


def cut(path: Path) -> None:
    """The last half is gone."""
    os.truncate(path, path.stat().st_size // 2 // PAGE * PAGE)


@pytest.mark.parametrize("damage", [overwrite, replace, cut])
def test_damage_is_found(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "ledger.sqlite3"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.instances.record([received(number) for number in range(2000)])
        ledger.check()
    damage(path)
    with pytest.raises(LedgerDamaged, match="Stop the gateway"), Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.check()


def test_a_large_ledger_is_read_when_everything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.ledger._LARGE", 0)
    settings = Settings.model_validate(
        {"data": tmp_path / "data", "dicom": {"port": free_port()}, "http": {"port": 0}, "workers": {"deidentify": 1}}
    )
    # Whoever looks finds damage; that everything runs by then is seen by what was logged.
    error = LedgerDamaged(operation="be trusted", server="x", state="x", reason="x")

    def check(_ledger: Ledger) -> None:
        raise error

    monkeypatch.setattr(Ledger, "check", check)
    with capture_logs() as logged, pytest.raises(LedgerDamaged):
        Supervisor(settings, serve).run()
    events = [one["event"] for one in logged]
    assert events.index("started") < events.index("ledger damaged") < events.index("stopped")


def test_damage_at_run_time_is_told_apart_from_a_passing_fault(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        ledger.instances.record([received(number) for number in range(2000)])
    with Ledger.open(f"sqlite:///{path}") as ledger:
        overwrite(path)
        with pytest.raises(LedgerDamaged):
            list(ledger.instances.known_spool_names())


def test_p1_the_spool_rebuilds_a_damaged_ledger(tmp_path: Path) -> None:
    """The gateway refuses to start; without the damaged file it delivers everything again, as the same."""
    archive = tmp_path / "archive"
    configuration = f"destinations: {{archive: {{type: folder, path: {archive}}}}}\nworkers: {{deidentify: 1}}\n"
    with gateway_server(tmp_path, configuration=configuration) as running:
        sender = Sender(running)
        assert sender.send(5) == [SUCCESS] * 5
        books = Books(f"sqlite:///{running.data}/ledger.sqlite3")
        books.settled(5)
        books.close()
        environ = running.environ
    before = {path: path.read_bytes() for path in archive.rglob("*.dcm")}
    assert len(before) == 5
    ledger = running.data / "ledger.sqlite3"
    overwrite(ledger)
    refused = run_warm(
        [sys.executable, "-m", "gateway", "run", "--config", str(tmp_path / "gateway.yaml")], environ=environ
    )
    assert refused.returncode == 1
    assert "ledger.sqlite3 is damaged" in refused.stderr
    for name in ("ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"):
        if (running.data / name).exists():
            (running.data / name).rename(running.data / f"damaged-{name}")
    with gateway_server(tmp_path, configuration=configuration) as again:
        books = Books(f"sqlite:///{again.data}/ledger.sqlite3")
        books.settled(5)
        books.close()
    assert {path: path.read_bytes() for path in archive.rglob("*.dcm")} == before
    assert arrived(archive) == 5
