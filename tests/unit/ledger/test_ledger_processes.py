from __future__ import annotations

from pathlib import Path

from tests.unit.ledger.processes import claims_survive_a_killed_process, several_may_open_at_once


def test_p2_claims_survive_a_killed_process(tmp_path: Path) -> None:
    claims_survive_a_killed_process(f"sqlite:///{tmp_path}/ledger.sqlite3", tmp_path)


def test_p12_several_processes_may_migrate_at_once(tmp_path: Path) -> None:
    several_may_open_at_once(f"sqlite:///{tmp_path}/ledger.sqlite3")
