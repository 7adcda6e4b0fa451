"""A gateway tells people, over a kill and while nobody listens."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
from pathlib import Path

from tests.fixtures.authority import Authority
from tests.fixtures.commands import gateway_command
from tests.fixtures.dashboard import unanswered
from tests.fixtures.gateway import gateway_server
from tests.fixtures.ports import free_port, wait_until
from tests.fixtures.vouched import VOUCHED_PROJECT
from tests.integration.raw_peer import RawPeer, data_set
from tests.unit.notify.servers import PASSWORD, WebServer, mail_server, web_server

#: An element that says to be longer than what is left: acknowledged, and held.
BROKEN = data_set() + b"\xfe\x7f\x10\x00OB\0\0\xfe\xff\0\0"


def store(port: int, content: bytes) -> None:
    with RawPeer(port) as peer:
        peer.associate()
        assert peer.store(content) == 0x0000
        peer.release()


def counts(server: WebServer, event: str) -> dict[str, int]:
    """Message -> how many times it tells of."""
    found = [json.loads(body) for _, _, body in server.posts]
    return {one["id"]: one["count"] for one in found if one["event"] == event}


def test_held_instances_are_told_over_a_kill_and_an_outage_of_the_receiver(tmp_path: Path) -> None:
    port, archive = free_port(), free_port()
    configuration = f"""{VOUCHED_PROJECT}
destinations: {{archive: {{type: dicomweb, url: "http://127.0.0.1:{archive}/studies"}}}}
workers: {{deidentify: 1}}
retry: {{first_seconds: 0.2, longest_seconds: 0.5}}
notifications:
  desk: {{type: webhook, url: "http://localhost:{port}/hook", secret: "${{HOOK_SECRET}}", every: 1s}}
  team:
    {{type: smtp, host: localhost, port: {free_port()}, sender: a@b.example, to: c@d.example, events: [disk-low]}}
"""
    environ = {"HOOK_SECRET": "a-secret-that-nobody-guesses-0123456789"}
    with gateway_server(tmp_path, configuration=configuration, environ=environ) as running:
        store(running.dicom_port, BROKEN)
        wait_until(lambda: running.count("held") == 1, what="it is held")
        wait_until(lambda: "notification failed" in running.process.output, what="nobody listens")
        figures = running.get("/metrics").text
        assert 'gateway_notifications_failed_total{notifier="desk",reason="unreachable"} 1.0' in figures
        assert 'gateway_notifications_sent_total{event="held",notifier="desk"} 0.0' in figures
        assert 'gateway_notifications_waiting{notifier="desk"} 1.0' in figures
        assert 'gateway_notifier_up{notifier="desk"} 0.0' in figures
        # What the dashboard asks of people who are told is there.
        assert not any("otif" in one for one in unanswered(figures))
        running.process.kill()
    with (
        web_server(port=port) as server,
        gateway_server(tmp_path, configuration=configuration, environ=environ) as again,
    ):
        store(again.dicom_port, BROKEN + b"\0\0")
        wait_until(lambda: sum(counts(server, "held").values()) == 2, what="both are told")
        # The process that tells people dies: nothing on the main way waits for it, and it tells all the same.
        (pid,) = re.findall(r"pid=(\d+) worker=notify", again.process.output.rpartition("configuration")[2])
        os.kill(int(pid), signal.SIGKILL)
        assert again.get("/readyz").ok
        store(again.dicom_port, BROKEN + b"\0\0\0\0")
        wait_until(lambda: sum(counts(server, "held").values()) == 3, what="all three are told")
        # An instance that the destination, which is not there, cannot take.
        store(again.dicom_port, data_set())
        wait_until(lambda: bool(counts(server, "destination-down")), what="the destination is told to be down")
        told = [body.decode() for _, _, body in server.posts]
        assert 'gateway_notifier_up{notifier="desk"} 1.0' in again.get("/metrics").text
    assert any('"unreachable"' in one for one in told)
    assert not any("patients" in one or "studies" in one or "DOE" in one for one in told)


def test_the_test_command_says_what_is_wrong(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    issued = authority.issue("localhost", names=["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.file)
    password = tmp_path / "mail.key"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    with mail_server(context) as mails, web_server() as hooks:
        (tmp_path / "gateway.yaml").write_text(f"""
notifications:
  desk: {{type: webhook, url: "{hooks.url}", secret: "${{HOOK_SECRET}}"}}
  team: {{type: smtp, host: localhost, port: {mails.port}, ca_file: {authority.file}, username: gateway,
          password_file: {password}, sender: gateway@hospital.example, to: pacs-team@hospital.example}}
""")
        environ = {
            "GATEWAY_CONFIG": str(tmp_path / "gateway.yaml"),
            "GATEWAY_DATA": str(tmp_path / "data"),
            "HOOK_SECRET": "a-secret-that-nobody-guesses-0123456789",
        }
        done = gateway_command("notify", "test", environ=environ)
        assert (done.returncode, done.stdout.splitlines()) == (
            0,
            ["desk: ok    the message was taken", "team: ok    the message was taken"],
        )
        assert "This is a trial" in str(mails.mails[0][2]["Subject"])
        hooks.status = 500
        password.write_text("wrong")
        done = gateway_command("notify", "test", environ=environ)
        assert done.returncode == 1
        assert done.stdout.splitlines() == [
            "desk: WRONG status 500",
            "team: WRONG answer 535: it refuses user or password",
        ]
        done = gateway_command("notify", "test", "tean", environ=environ)
        assert done.returncode == 2
        assert "team" in done.stderr
