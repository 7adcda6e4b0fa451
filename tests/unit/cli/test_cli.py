"""The command line: exit codes and messages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.association.listener import open_port
from gateway.cli import app as cli
from gateway.cli.app import COMMANDS
from gateway.console.http_server import HttpServer
from gateway.reference.settings_reference import (
    configuration_example,
    configuration_reference,
    metrics_reference,
    sections,
)
from gateway.service.health import Health
from gateway.settings.configuration import load_settings
from gateway.version import __version__
from tests.fixtures.commands import Answer, gateway_command

ROOT = Path(__file__).parents[3]
#: Variables that the example names.
SECRETS = {
    "ARCHIVE_PASSWORD": "a",
    "CHEST_SECRET": "c" * 32,
    "CHEST_SECRET_1": "d" * 32,
    "CLIENT_KEY_PASSWORD": "k",
    "GATEWAY_KEY_PASSWORD": "g",
    "GATEWAY_SECRET": "e" * 32,
    "GATEWAY_SECRET_1": "f" * 32,
    "HOOK_SECRET": "h" * 32,
    "LEDGER_PASSWORD": "l",
    "MAIL_PASSWORD": "m",
    "METRICS_TOKEN": "m" * 32,
    "XNAT_ALIAS": "x",
    "XNAT_SECRET": "s",
}


def gateway(*arguments: str, **environ: str) -> Answer:
    return gateway_command(*arguments, environ={**inherited(), **environ})


def inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}


def uncommented(example: str) -> str:
    """The example with its settings in force: they are commented out without a space, prose with one."""
    return re.sub(r"(?m)^#(?=[a-z]|  )", "", example)


def test_version() -> None:
    """In a process of its own, as everybody else runs it."""
    command = [sys.executable, "-m", "gateway", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=inherited(), timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


def test_help_lists_every_command() -> None:
    done = gateway("--help")
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"(?m)^  ([a-z]+)  +\S", done.stdout.partition("Commands:")[2])
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = gateway(command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: gateway {command} ")
    # In the list of all commands it is told without the command, which would have to be imported.
    assert " ".join(done.stdout.split("\n\n")[1].split()).startswith(COMMANDS[command].summary)


def test_unknown_command() -> None:
    assert gateway("explode").returncode == 2


def test_foreign_errors_lose_their_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise ValueError("DOE^JOHN")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    assert re.fullmatch(
        r"gateway: internal error: ValueError at cli/app\.py:\d+ cli/test_cli\.py:\d+\n", capsys.readouterr().err
    )


def test_check_of_the_defaults(tmp_path: Path) -> None:
    done = gateway("config", "check", GATEWAY_DATA=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the embedded defaults: correct\n")
    assert "everybody who reaches the DICOM port may send" in done.stderr
    assert not (tmp_path / "data").exists()  # a check changes nothing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dicom: {prt: 1}\n", 'gateway.yaml:1:9: unknown key "prt"; did you mean "port"?'),  # the file
        ("projects: {p: {profile: no-such-profile}}\n", "no-such-profile"),  # the profile
        ("routes: [{project: default, when: 'Modalty == \"CT\"'}]\n", "Modality"),  # a condition
        ("projects: {p: {secret_file: absent.key}}\n", "absent.key: the secret cannot be read"),  # a secret
        (
            "destinations: {d: {type: dicomweb, url: 'https://x/', ca_file: absent.pem}}\n",
            "destinations.d: ca_file cannot be used",
        ),  # a certificate
    ],
)
def test_check_of_a_wrong_file(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    done = gateway("config", "check", "--config", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.startswith("gateway: ")
    assert len(done.stderr.splitlines()) == 1
    assert gateway("config", "check", GATEWAY_CONFIG=str(file)).returncode == 2


def test_health_without_a_gateway(tmp_path: Path) -> None:
    done = gateway("health", GATEWAY_DATA=str(tmp_path), GATEWAY_HTTP_PORT="1")
    assert done.returncode == 1
    assert done.stderr == "gateway: No gateway answers on 127.0.0.1:1: ConnectionRefusedError.\n"


@pytest.mark.parametrize(
    ("health", "code", "output"), [(Health(), 0, "ready\n"), (Health(("no receiver",)), 1, "no receiver\n")]
)
def test_health(tmp_path: Path, health: Health, code: int, output: str) -> None:
    server = HttpServer(
        open_port("127.0.0.1", 0, place="http"), metrics=lambda: b"", alive=Health, ready=lambda: health
    )
    server.start()
    try:
        done = gateway("health", GATEWAY_DATA=str(tmp_path), GATEWAY_HTTP_PORT=str(server.port))
    finally:
        server.stop()
    assert (done.returncode, done.stdout + done.stderr) == (code, output)


def test_example_is_the_defaults_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("config", "example").stdout)
    environ = {"GATEWAY_DATA": str(tmp_path)}
    assert load_settings(file, environ) == load_settings(None, environ)


def test_example_is_correct_when_uncommented(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(uncommented(configuration_example()))
    settings = load_settings(file, SECRETS)
    assert settings.warnings() == []
    defaults = load_settings(None, {})
    # Numbers that follow from another one by default are shown as what follows.
    doors = {"tls": None, "plain": None, "max_associations_per_address": None, "reserved_associations": None}
    assert settings.dicom.model_copy(update=doors) == defaults.dicom
    assert settings.dicom.associations_per_address == defaults.dicom.associations_per_address
    assert settings.dicom.associations_reserved == defaults.dicom.associations_reserved
    assert settings.http.model_copy(update={"tls": None, "trusted_proxies": ()}) == defaults.http
    for section in ("limits", "retry", "log"):
        assert getattr(settings, section) == getattr(defaults, section), f"the example's {section} is not the default"
    assert settings.storage.model_copy(update={"ledger": None, "history": None, "instances": None}) == defaults.storage


def test_example_has_every_key() -> None:
    example = configuration_example()
    keys = {key for _, model in sections() for key in model.model_fields}
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", example)] == ["token"] * (
        "token" not in example
    )


def test_every_key_is_described() -> None:
    assert [f"{place}.{key}" for place, model in sections() for key, field in model.model_fields.items()
            if not field.description] == []  # fmt: skip
    assert [place for place, model in sections() if not model.__doc__] == []


@pytest.mark.parametrize(
    ("name", "text"), [("configuration", configuration_reference()), ("metrics", metrics_reference())]
)
def test_reference_is_current(name: str, text: str) -> None:
    page = ROOT / "docs" / "reference" / f"{name}.md"
    assert page.read_text(encoding="utf-8") == text, "run scripts/generate-docs"


def test_reference_command_prints_the_page() -> None:
    assert gateway("config", "reference").stdout == configuration_reference()
