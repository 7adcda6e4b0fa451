"""The whole gateway with every door secured, and what keeps it from starting (promises P9 and P10)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pydicom
import requests

from tests.fixtures.authority import Authority
from tests.fixtures.dcmtk import echoscu, storescu
from tests.fixtures.ports import free_ports, is_listening, wait_until
from tests.fixtures.processes import Process
from tests.fixtures.warm import run_warm

ROOT = Path(__file__).resolve().parents[2]
CT_SMALL = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
VIEWER, OFFICER = "viewer-token-0123456789-0123456789", "officer-token-0123456789-0123456789"
KEY = "the-key-of-this-project-0123456789"


def environ(more: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return {**inherited, "VIEWER": VIEWER, "OFFICER": OFFICER, "KEY": KEY, **more}


def gateway(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *arguments]
    return run_warm(command, cwd=ROOT, environ=environ(more), timeout=240)


def configuration(folder: Path, authority: Authority, *, tls_port: int, http_port: int) -> Path:
    own = authority.issue("gateway", names=["localhost"])
    file = folder / "gateway.yaml"
    file.write_text(
        f"""
data: data
dicom:
  host: 127.0.0.1
  tls: {{port: {tls_port}, certificate_file: {own.certificate_file}, key_file: {own.key_file},
        ca_file: {authority.file}, client_certificates: required}}
http: {{port: {http_port}, tls: {{certificate_file: {own.certificate_file}, key_file: {own.key_file}}}}}
users:
  prometheus: {{role: viewer, token: "${{VIEWER}}"}}
  maria: {{role: data-protection-officer, token: "${{OFFICER}}"}}
sources:
  pacs: {{calling_ae: PACS1, certificate: {{name: pacs1.hospital.example}}}}
projects: {{default: {{secret: "${{KEY}}"}}}}
workers: {{deidentify: 1}}
"""
    )
    return file


def test_p10_every_door_requires_tls_and_proof(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    tls_port, http_port = free_ports(2)
    file = configuration(tmp_path, authority, tls_port=tls_port, http_port=http_port)
    pacs = authority.issue("pacs1", names=["pacs1.hospital.example"])
    other = authority.issue("pacs2", names=["pacs2.hospital.example"])
    ca = str(authority.file)
    log = tmp_path / "gateway.log"

    def ask(path: str, token: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.get(f"https://localhost:{http_port}{path}", headers=headers, verify=ca, timeout=60)

    command = [sys.executable, "-m", "gateway", "run", "--config", str(file)]
    with Process(command, log=log, environ=environ({}), cwd=ROOT) as process:
        process.wait_until(lambda: is_listening(http_port) and ask("/readyz").ok, what="the gateway is ready")

        def send(issued_options: list[str], calling: str) -> int:
            options = [*issued_options, "+cf", ca]
            return storescu(tls_port, [CT_SMALL], calling_ae=calling, options=options).status

        def proof(issued: object) -> list[str]:
            return ["+tls", str(issued.key_file), str(issued.certificate_file)]  # type: ignore[attr-defined]

        assert send(proof(pacs), "PACS1") == 0
        assert send(proof(pacs), "PACS2") != 0  # the title of nobody
        assert send(proof(other), "PACS1") != 0  # the title of another
        assert send(["+tla"], "PACS1") != 0  # no certificate
        assert echoscu(tls_port, calling_ae="PACS1").status != 0  # no TLS
        wait_until(lambda: list((tmp_path / "data" / "archive").rglob("*.dcm")) != [], what="the instance arrived")

        assert gateway("health", "--config", str(file)).stdout == "ready\n"
        refused = ask("/metrics", VIEWER).text
        for reason in ("calling-ae", "certificate", "tls-no-certificate", "tls-expected"):
            assert f'gateway_associations_refused_total{{reason="{reason}"}} 1.0' in refused
        assert ask("/metrics").status_code == 401
        assert ask("/api/held", VIEWER).status_code == 403
        assert ask("/api/held", OFFICER).json() == {"held": []}
        assert ask("/api/account", VIEWER).json()["balanced"] is True
        actions = [one["action"] for one in ask("/api/audit", OFFICER).json()["entries"]]
        assert "gateway-started" in actions
    logged = log.read_text()
    for withheld in (VIEWER, OFFICER, KEY, "pacs2", "Hospital"):
        assert withheld not in logged

    keys = gateway("access", "keys", "--config", str(file))
    told = [line.split(", key ")[0] for line in keys.stdout.splitlines()]
    assert told == ["@gateway: version 1", "default: version 1"]
    assert KEY not in keys.stdout
    refuses_to_start(file, tmp_path)


def refuses_to_start(file: Path, folder: Path) -> None:
    """The same gateway with another key, a spool or a key that others may read."""
    done = gateway("run", "--config", str(file), KEY="another-key-0123456789-0123456789-ab")
    assert done.returncode == 2
    assert "every patient would become another" in done.stderr
    assert "another-key" not in done.stderr + done.stdout
    opened = (
        (folder / "data" / "spool", 0o755, ["run"]),
        (folder / "authority" / "gateway.key", 0o644, ["config", "check"]),
    )
    for path, mode, command in opened:
        before = path.stat().st_mode
        path.chmod(mode)
        done = gateway(*command, "--config", str(file))
        assert done.returncode == 2
        assert "chmod" in done.stderr
        path.chmod(before & 0o777)
