from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

import gateway.ledger
from gateway.errors import ConfigurationError
from gateway.ledger import Ledger
from gateway.ledger.schema import SCHEMA_VERSION
from tests.unit.ledger.build import received
from tests.unit.ledger.versions import differences, pretend_newer


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(gateway.ledger.__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config)


def test_the_code_expects_the_last_migration() -> None:
    assert scripts().get_heads() == [SCHEMA_VERSION]


def test_the_schema_is_what_the_code_expects(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
        assert differences(ledger) == []


def test_the_comparison_finds_a_difference(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3") as ledger:
        with ledger._database.engine.begin() as connection:
            connection.execute(sa.text("DROP INDEX instances_held"))
            connection.execute(sa.text("CREATE INDEX instances_held ON instances (state, id) WHERE state = 'sent'"))
        assert differences(ledger) != []


def test_p12_what_was_recorded_survives_reopening(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    with Ledger.open(url) as ledger:
        ledger.instances.record([received(1)])
    with Ledger.open(url) as ledger:
        assert list(ledger.instances.known_spool_names()) == [received(1).spool_name]


def test_p12_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    with Ledger.open(url) as ledger:
        ledger.instances.record([received(1)])
        pretend_newer(ledger)
        with pytest.raises(ConfigurationError, match=f"version 9999.*up to {SCHEMA_VERSION}"):
            Ledger.open(url)
        assert list(ledger.instances.known_spool_names()) == [received(1).spool_name]


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"

    def fail(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("CREATE INDEX", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.create_index", fail)
        with pytest.raises(gateway.errors.LedgerUnavailable):
            Ledger.open(url)
    engine = sa.create_engine(url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
    with Ledger.open(url) as ledger:
        assert ledger.accounts.draw().balanced


def test_a_directory_with_a_percent_sign(tmp_path: Path) -> None:
    Ledger.open(f"sqlite:///{tmp_path}/100%25/ledger.sqlite3").close()


def test_alembic_is_not_imported_when_nothing_is_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    Ledger.open(url).close()
    code = (
        f"import sys; from gateway.ledger import Ledger; Ledger.open({url!r}).close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
