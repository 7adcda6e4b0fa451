"""The files of deploy/: that they fit the code, and that what they promise can be measured."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import tomllib
import uuid
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from tests.fixtures.tools import tool

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "deid-gateway.service"


def script(name: str) -> ModuleType:
    loader = SourceFileLoader(name.replace("-", "_"), str(ROOT / "scripts" / name))
    specification = spec_from_loader(loader.name, loader)
    assert specification is not None
    module = module_from_spec(specification)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


LOCK, SBOM = script("generate-lock"), script("generate-sbom")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WANTED = LOCK.locks(PROJECT)


@pytest.mark.parametrize("name", sorted(WANTED))
def test_the_lock_files_fit_what_is_needed(name: str) -> None:
    assert list(LOCK.problems(name, WANTED[name])) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        # A dependency more, another bound, a digest less, an index or a file from elsewhere.
        (lambda text, wanted: (text, [*wanted, "left-pad>=1"]), "other dependencies"),
        (lambda text, wanted: (text, [wanted[0] + ".1", *wanted[1:]]), "other dependencies"),
        (
            lambda text, wanted: (re.sub(r"( \\\n    --hash=\S+)+\n", "\n", text, count=1), wanted),
            "no pin with digests",
        ),
        (lambda text, wanted: (f"{text}--extra-index-url https://elsewhere.example\n", wanted), "no pin with digests"),
        (lambda text, wanted: (f"{text}left-pad @ https://elsewhere.example/x.whl\n", wanted), "no pin with digests"),
        (lambda text, wanted: (text.replace("alembic==1.", "alembic==0."), wanted), "does not provide alembic"),
        (lambda text, wanted: ("", wanted), "other dependencies"),
    ],
)
def test_a_lock_file_that_does_not_fit_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: object, problem: str
) -> None:
    text, wanted = change((DEPLOY / "requirements.txt").read_text(encoding="utf-8"), WANTED["requirements.txt"])  # type: ignore[operator]
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
    monkeypatch.setattr(LOCK, "DEPLOY", tmp_path)
    assert any(problem in found for found in LOCK.problems("requirements.txt", wanted))


def test_the_default_set_has_nothing_under_the_lgpl() -> None:
    assert "psycopg" not in (DEPLOY / "requirements.txt").read_text(encoding="utf-8")
    assert "psycopg" in (DEPLOY / "requirements-postgresql.txt").read_text(encoding="utf-8")
    assert not any("psycopg" in one for one in PROJECT["project"]["dependencies"])


def test_the_bill_of_materials_is_that_of_the_lock_files() -> None:
    text = (DEPLOY / "sbom.cdx.json").read_text(encoding="utf-8")
    assert text == SBOM.document()
    content = json.loads(text)
    assert (content["bomFormat"], content["specVersion"], content["version"]) == ("CycloneDX", "1.6", 1)
    assert uuid.UUID(content["serialNumber"]).version == 5
    found = {one["name"]: one for one in content["components"]}
    pins = {pin[1] for lock in SBOM.LOCKS for pin in LOCK._PIN.finditer((DEPLOY / lock).read_text(encoding="utf-8"))}
    assert set(found) == pins
    assert found["psycopg"]["scope"] == "optional"
    assert all(reference["hashes"] for one in found.values() for reference in one["externalReferences"])
    references = [content["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in content["components"])]
    assert len(references) == len(set(references))


def unit() -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return {**parser["Unit"], **parser["Service"]}


def test_the_unit_is_exposed_below_three() -> None:
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", "--threshold=30", str(UNIT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    exposure = re.search(r"Overall exposure level .*?: ([0-9.]+)", done.stdout)
    assert exposure is not None
    assert float(exposure[1]) < 3


def test_the_unit_leaves_what_the_gateway_needs() -> None:
    settings = unit()
    # Codecs take system calls from themselves; systemd 252 does not count these to @system-service.
    allowed = next(line for line in UNIT.read_text(encoding="utf-8").splitlines() if "@system-service" in line)
    assert {"seccomp", "landlock_create_ruleset", "landlock_restrict_self"} <= set(allowed.split())
    assert settings["OOMPolicy"] == "continue"
    assert settings["RestartPreventExitStatus"] == "2"
    assert {"network-online.target", "postgresql.service"} <= set(settings["After"].split())
    assert int(settings["TimeoutStopSec"]) > 30
    assert (settings["UMask"], settings["LimitCORE"]) == ("0077", "0")


def test_the_image_installs_what_is_locked() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG BASE=python:3\.\d+-slim-\w+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    installs = re.findall(r"pip install ([^&\n]+)", text)
    assert len(installs) == 5
    for install in installs:
        assert "--no-deps" in install
        assert "--require-hashes" in install or "/wheel/" in install
