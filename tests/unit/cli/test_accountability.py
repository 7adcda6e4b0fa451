"""``gateway audit``, ``reidentify``, ``backup`` and ``restore``: output, exit codes, what they refuse."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.audit import AuditAction, AuditEntry, acting_person
from gateway.cli.app import main
from gateway.custody.crosswalk_key import Correspondence, CrosswalkKey, CrosswalkKind
from gateway.ledger import Ledger
from gateway.settings.configuration import load_settings
from tests.unit.ledger.build import deidentified, finish, one

SECRET = "0123456789abcdef" * 4
PATIENT = Correspondence(
    kind=CrosswalkKind.PATIENT,
    original={"PatientID": "HC-4711", "PatientName": "GARCIA^MARIA", "IssuerOfPatientID": ""},
    replacement="SUBJECT-1",
)


class Done(NamedTuple):
    code: object
    out: str
    err: str


class Command:
    """The command in this process, on a gateway that has run."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ledger: Ledger
    ) -> None:
        self.folder, self.ledger = folder, ledger
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, given: str = "") -> Done:
        self._monkeypatch.setattr(sys, "argv", ["gateway", *arguments])
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        self._capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        return Done(code, *self._capsys.readouterr())


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    secret = tmp_path / "lungs.key"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    configuration = tmp_path / "gateway.yaml"
    configuration.write_text(
        "data: data\n"
        f"projects:\n  lungs: {{crosswalk: true, secret_file: {secret}}}\n  bones: {{secret_file: {secret}}}\n"
        "routes: [{project: lungs}]\n"
    )
    monkeypatch.setenv("GATEWAY_CONFIG", str(configuration))
    monkeypatch.delenv("GATEWAY_DATA", raising=False)
    settings = load_settings(configuration, {})
    settings.data.mkdir()
    with Ledger.open(settings.ledger_url) as ledger:
        key = CrosswalkKey(SECRET.encode(), "lungs")
        finish(ledger, deidentified(one(ledger), crosswalk=(key.seal(PATIENT),)))
        yield Command(tmp_path, monkeypatch, capsys, ledger)


def write(gateway: Command, count: int) -> None:
    for number in range(count):
        entry = AuditEntry(
            actor="alice", action=AuditAction.PROFILE_ACTIVATED, subject=f"project-{number}", facts={"version": "1"}
        )
        gateway.ledger.audit.write(entry)


def test_the_trail_is_listed(gateway: Command) -> None:
    write(gateway, 3)
    done = gateway("audit", "list", "--limit", "2")
    assert done.code == 0
    assert [line.split()[4] for line in done.out.splitlines()[1:]] == ["project-1", "project-2"]
    assert "alice" in done.out
    assert "version=1" in done.out
    assert "project" not in gateway("audit", "list", "--action", "crosswalk-read").out
    assert gateway("audit", "list", "--action", "nothing").code == 2


def test_the_trail_is_exported_and_verified(gateway: Command) -> None:
    write(gateway, 2)
    export = gateway.folder / "trail.jsonl"
    assert gateway("audit", "export", str(export)).out == f"2 entries written to {export}\n"
    assert gateway("audit", "export").out == export.read_text()
    write(gateway, 1)
    done = gateway("audit", "verify", str(export))
    assert (done.code, done.out.splitlines()[-1]) == (0, "verified")
    export.write_text(export.read_text().replace("project-1", "project-9"))
    done = gateway("audit", "verify", str(export))
    assert (done.code, done.out.splitlines()[-1]) == (1, "NOT verified")
    assert "trail.jsonl: entry 2: was exported with another content" in done.out
    export.write_text("no entry\n")
    assert gateway("audit", "verify", str(export)).code == 2
    assert gateway("audit", "verify", str(export.with_name("missing"))).code == 2


def test_an_empty_trail_verifies(gateway: Command) -> None:
    assert gateway("audit", "verify").out == "verified\n"


def test_a_pseudonym_is_resolved_on_the_record(gateway: Command) -> None:
    done = gateway("reidentify", "SUBJECT-1", "--project", "lungs", "--because", "incidental finding")
    assert done.code == 0
    assert done.out.split() == ["patient", "SUBJECT-1", "PatientID", "HC-4711", "PatientName", "GARCIA^MARIA"]
    (entry,) = gateway.ledger.audit.trail()
    assert (entry.text("action"), entry.text("actor"), entry.text("because")) == (
        "crosswalk-read",
        acting_person(),
        "incidental finding",
    )


def test_an_original_comes_from_standard_input(gateway: Command) -> None:
    done = gateway(
        "reidentify", "--original", "--json", "--project", "lungs", "--because", "withdrawal", given="HC-4711\n"
    )
    assert json.loads(done.out) == {
        "kind": "patient",
        "replacement": "SUBJECT-1",
        "original": {"PatientID": "HC-4711", "PatientName": "GARCIA^MARIA", "IssuerOfPatientID": ""},
    }


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        # nothing is known of it; audited all the same
        (("HC-4711", "--project", "lungs", "--because", "why"), 1),
        # no reason, an empty one
        (("SUBJECT-1", "--project", "lungs"), 2),
        (("SUBJECT-1", "--project", "lungs", "--because", " "), 2),
        # a reason that names the patient
        (("SUBJECT-1", "--project", "lungs", "--because", "who is Garcia"), 1),
        # a project without a crosswalk, and no project
        (("SUBJECT-1", "--project", "bones", "--because", "why"), 2),
        (("SUBJECT-1", "--project", "heads", "--because", "why"), 2),
        # an original on the command line
        (("HC-4711", "--original", "--project", "lungs", "--because", "why"), 2),
    ],
)
def test_what_is_not_answered(gateway: Command, arguments: tuple[str, ...], code: int) -> None:
    done = gateway("reidentify", *arguments)
    assert (done.code, done.out) == (code, "")
    assert "GARCIA" not in done.err
    assert len(list(gateway.ledger.audit.trail())) == (code == 1)


def test_backup_and_restore(gateway: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    target = gateway.folder / "backup"
    assert gateway("backup", str(target), "--secrets").code == 2
    done = gateway("backup", str(target))
    assert done.code == 0
    assert "The secrets are not in it" in done.out
    assert gateway("backup", str(target)).code == 2
    assert "needs --unauthenticated" in done.err
    assert gateway("restore", str(target), "--unauthenticated").code == 2
    monkeypatch.setenv("GATEWAY_DATA", str(gateway.folder / "restored"))
    done = gateway("restore", str(target))
    assert done.code == 1
    assert "nothing shows who made it" in done.err
    done = gateway("restore", str(target), "--check", "--unauthenticated")
    assert (done.code, "is whole: 0 files" in done.out, "Not authenticated" in done.err) == (0, True, True)
    # The ledger of this test knows an instance that no spool has.
    done = gateway("restore", str(target), "--unauthenticated")
    assert done.code == 1
    assert "1 instances of its ledger are not in its spool" in done.err
    assert not (gateway.folder / "restored").exists()
