"""A canary identity goes every way through a running gateway, wrong ways first; nothing tells of it (promise P9).

Searched: the log at its most talkative, in both formats; metrics; HTTP answers; every column of the ledger; audit trail
and receipts; what the commands print; files outside of the spool; process arguments; what a destination was asked for.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, Self

import pydicom
import pytest
import requests

from gateway.cli.app import main
from tests.fixtures.canary import BIRTH_DATE, NAME, PATIENT_ID, UID, canary, traces, write_canary
from tests.fixtures.dcmtk import dcmsend
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.ports import free_port, wait_until
from tests.integration.raw_peer import RawPeer, command, message, store_elements

#: Called AE title (also the project's name in capitals) -> code with which its instance ends, or None if it is sent on.
FATES: Final = {
    "GOOD": None,
    # a kept description names the patient
    "LEAK": "leak-suspected",
    # a condition that cannot be decided; the reason that the library gives quotes the value
    "FAILS": "rule-failed",
    # a patient whom the table lacks
    "LOOKUP": "pseudonym-missing",
    "HOLDS": "held-by-rule",
    "REJECTS": "rejects:6",
    # the server answers with the patient's own words
    "ECHO": None,
    # nobody answers
    "DOWN": None,
}
_BASIC: Final = "version: '1'\ndescribes: For the tests\nuse: [basic]\n"
_PROFILES: Final = {
    "leak": "attributes:\n  - keep: [StudyDescription]\n    because: to see it leak\n",
    "fails": "accept:\n  - reject: PatientID.matches(PatientID + '(')\n    because: cannot be decided\n",
    "lookup": "identity:\n  patient: {pseudonym: lookup, table: subjects.csv, missing: hold}\n",
    "holds": "accept:\n  - hold: PatientID != ''\n    because: a person decides\n",
    "rejects": "accept:\n  - reject: PatientID != ''\n    because: not wanted\n",
    "spare": "",
}
_BAD_PROFILE: Final = (
    "tests:\n"
    f"  - {{name: it fails, given: {{PatientName: '{NAME}', PatientID: '{PATIENT_ID}'}},"
    f" expect: {{PatientName: '{NAME}'}}}}\n"
)


class _Echo(BaseHTTPRequestHandler):
    """A DICOMweb server that refuses everything and says the patient's name while it does."""

    asked: list[bytes]

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        self.asked.append(f"{self.requestline}\n{self.headers}".encode() + body)
        answer = f'{{"error": "patient {NAME} {PATIENT_ID} born {BIRTH_DATE}, {UID}.1 is unknown"}}'.encode()
        self.send_response(400, f"No such patient {NAME}")
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Warning", f'299 - "{PATIENT_ID}"')
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _chunks(self) -> bytes:
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def log_message(self, *_: object) -> None:
        """The requests are kept instead."""


@contextmanager
def echo_server() -> Iterator[tuple[int, list[bytes]]]:
    asked: list[bytes] = []
    handler = type("Handler", (_Echo,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class CommandLines:
    """The arguments of all processes of the gateway, looked at again and again."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.2):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    content = path.read_bytes()
                except OSError:
                    continue
                if b"gateway" in content or b"multiprocessing" in content:
                    self.seen.add(content)


def configuration(folder: Path, echo_port: int, log_format: str) -> str:
    projects = {
        "good": "{profile: basic, destinations: [folder], crosswalk: true}",
        "echo": "{profile: basic, destinations: [echo]}",
        "down": "{profile: basic, destinations: [down]}",
        **{name: f"{{profile: {name}, destinations: [folder]}}" for name in _PROFILES},
    }
    routes = [f"  - {{project: {name}, called_ae: {name.upper()}}}" for name in projects]
    return "\n".join(
        [
            "profiles: [profiles]",
            "projects:",
            *(f"  {name}: {content}" for name, content in projects.items()),
            "routes:",
            *routes,
            "destinations:",
            f"  folder: {{type: folder, path: {folder}/out}}",
            f"  echo: {{type: dicomweb, url: 'http://127.0.0.1:{echo_port}/dicom-web'}}",
            f"  down: {{type: dicomweb, url: 'http://127.0.0.1:{free_port()}/dicom-web'}}",
            "retry: {first_seconds: 1, longest_seconds: 1, attempts: 3}",
            "workers: {deidentify: 1}",
            f"log: {{level: debug, format: {log_format}}}",
            "",
        ]
    )


def write_profiles(folder: Path) -> Path:
    profiles = folder / "profiles"
    profiles.mkdir(parents=True)
    for name, content in _PROFILES.items():
        (profiles / f"{name}.yaml").write_text(f"profile: {name}\n{_BASIC}{content}")
    (profiles / "subjects.csv").write_text("patient_id,pseudonym\nSOMEBODY-ELSE,SUBJ-1\n")
    return profiles


def send_everything(running: GatewayProcess, folder: Path) -> None:
    for number, called in enumerate(FATES):
        path = write_canary(folder / "in" / f"{called}.dcm", number, note=NAME.split("^")[0])
        sent = dcmsend(running.dicom_port, [path], called_ae=called)
        assert sent.status == 0, sent.output
    whole = bytes_of(canary(90))
    elements = store_elements(instance=f"{UID}.3.90")
    for content in (
        whole[:-3000],  # cut inside the pixel data
        whole[:900] + bytes([255]) * 40 + whole[900:],  # broken in the middle
        NAME.encode() * 50,  # no data set at all
    ):
        with RawPeer(running.dicom_port) as peer:
            peer.associate(called="GOOD")
            peer.send(message(command(elements), content))
            # Whether it is refused or held later, the answer says so without a word of it.
            status = peer.response()
            assert traces(repr(status.get(0x0902))) == []
    with RawPeer(running.dicom_port) as peer:  # breaks off in the middle
        peer.associate(called="GOOD")
        peer.send(message(command(elements), whole)[:20_000])
    with RawPeer(running.dicom_port) as peer:  # talks nonsense
        peer.send(b"\4\0\0\0\0\x40" + NAME.encode() * 3)


def bytes_of(image: pydicom.Dataset) -> bytes:
    """The data set in explicit VR little endian, without file meta information."""
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    pydicom.filewriter.write_dataset(
        buffer, pydicom.Dataset({element.tag: element for element in image if element.tag.group > 2})
    )
    return bytes(buffer.getvalue())


def codes(books: Path) -> dict[str, set[str]]:
    with sqlite3.connect(books) as connection:
        rows = connection.execute("SELECT called_ae, code FROM instances").fetchall()
    found: dict[str, set[str]] = {}
    for called, code in rows:
        found.setdefault(called, set()).add(code)
    return found


def duplicates(books: Path) -> int:
    return sum("duplicate" in found for found in codes(books).values())


def outcomes(books: Path) -> dict[str, str]:
    with sqlite3.connect(books) as connection:
        return dict(connection.execute("SELECT destination, state FROM deliveries").fetchall())


def workers(log: str) -> list[int]:
    entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [
        entry["pid"]
        for entry in entries
        if entry.get("event") == "process started" and str(entry.get("worker")).startswith("deidentify")
    ]


def provoke(running: GatewayProcess, folder: Path, profiles: Path) -> list[bytes]:
    """What goes wrong besides: wrong credentials and paths, a bad profile, a worker that dies. The HTTP answers."""
    answers = []
    for path, headers in (
        (f"/metrics?patient={PATIENT_ID}", {}),
        (f"/{NAME}", {}),
        ("/metrics", {"Authorization": f"Bearer {PATIENT_ID}"}),
        ("/api/status", {"Authorization": f"Basic {NAME}"}),
        ("/healthz", {}), ("/readyz", {}), ("/metrics", {}),
        ("/api/status", {}),
        *((f"/api/{name}", running.bearer) for name in ("status", "account", "held", "audit", "studies")),
    ):  # fmt: skip
        answer = requests.get(f"http://127.0.0.1:{running.http_port}{path}", headers=headers, timeout=30)
        answers.append(f"{answer.status_code} {answer.reason} {answer.headers}".encode() + answer.content)
    (profiles / "spare.yaml").write_text(f"profile: spare\n{_BASIC}{_BAD_PROFILE}")
    os.kill(running.process.pid, signal.SIGHUP)
    running.process.wait_until(lambda: "profiles not changed" in running.process.output, what="the profile is refused")
    (profiles / "spare.yaml").write_text(f"profile: spare\n{_BASIC}")
    before = workers(running.process.output)
    os.kill(before[-1], signal.SIGKILL)
    running.process.wait_until(lambda: workers(running.process.output) != before, what="the worker is replaced")
    assert folder.exists()
    return answers


def printed(
    running: GatewayProcess, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What the commands for operators print."""
    with sqlite3.connect(running.data / "ledger.sqlite3") as connection:
        numbers = [str(row[0]) for row in connection.execute("SELECT id FROM instances")]
        held = connection.execute("SELECT id FROM instances WHERE state = 'held' ORDER BY id").fetchone()[0]
        done = connection.execute("SELECT instance_id FROM deliveries WHERE state = 'confirmed'").fetchone()[0]
    for name, value in running.environ.items():
        if name.startswith("GATEWAY_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("GATEWAY_CONFIG", str(folder / "gateway.yaml"))
    text = ""
    for arguments in (
        ["status"], ["account"], ["deliveries", "list"], ["held", "list"], ["held", "show", str(held)],
        *(["history", number] for number in numbers),
        ["receipts", "show", str(done)], ["receipts", "export"], ["receipts", "verify"],
        ["audit", "list"], ["audit", "export"], ["audit", "verify"], ["config", "check"],
        ["reidentify", PATIENT_ID, "--project", "good", "--because", "typed on the wrong side"],
        ["profile", "explain", "basic", "PatientName"],
    ):  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["gateway", *arguments])
        status: object = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code
        assert status in (None, 0, 1), arguments
        answer = capsys.readouterr()
        assert answer.out or answer.err, arguments
        text += f"$ {arguments[0]}\n{answer.out}{answer.err}"
    return text


def reidentified(running: GatewayProcess, folder: Path) -> str:
    """What an authorised person is told who asks for the canary by its original ID."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "reidentify", "--original", "--project", "good", "--because", "a finding"],
        input=f"{PATIENT_ID}\n", env={**running.environ, "GATEWAY_CONFIG": str(folder / "gateway.yaml")},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert traces(done.stderr) == []
    return done.stdout


def columns(books: Path) -> Iterator[tuple[str, str]]:
    """Every column of the ledger with a trace of the canary."""
    with sqlite3.connect(books) as connection:
        connection.text_factory = bytes
        tables = [row[0].decode() for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = connection.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            for row in cursor:
                for name, value in zip(names, row, strict=True):
                    if traces(value if isinstance(value, bytes) else str(value)):
                        yield table, name


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_p9_nothing_tells_of_the_canary(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The processes' sockets are made there, and names of sockets are short.
    folder, temporary = tmp_path / "gateway", tmp_path_factory.mktemp("t")
    profiles = write_profiles(folder)
    books = folder / "data" / "ledger.sqlite3"
    environ = {"TMPDIR": str(temporary)}
    with echo_server() as (port, asked), CommandLines() as command_lines:
        # Its arguments are looked at: they must be its own.
        with gateway_server(
            folder, configuration=configuration(tmp_path, port, "json"), environ=environ, cold=True
        ) as running:
            send_everything(running, folder)

            def decided() -> bool:
                found = codes(books)
                held = all(code in found.get(called, ()) for called, code in FATES.items() if code)
                fates = outcomes(books)
                # Who is down is tried for ever.
                return (
                    held
                    and fates.get("folder") == "confirmed"
                    and {fates.get("echo"), fates.get("down")}
                    <= {
                        "dead",
                        "failed",
                    }
                )

            wait_until(decided, what="every instance has its fate")
            answers = provoke(running, folder, profiles)
            running.process.kill()
        first = (folder / "gateway.log").read_text()
        with gateway_server(folder, configuration=configuration(tmp_path, port, "console"), environ=environ) as running:
            send_everything(running, folder)
            wait_until(lambda: duplicates(books) >= 3, what="they are duplicates")
            told = reidentified(running, folder)
            text = printed(running, folder, monkeypatch, capsys)
            assert running.process.stop() == 0
    log = (folder / "gateway.log").read_text()

    # The search finds what is there: in the originals, and in the answer to who may know.
    originals = [path for path in files(folder / "data" / "spool" / "received") if traces(path.read_bytes())]
    assert len(originals) > len(FATES)
    assert {"cnry", "zyxcanarius"} <= set(traces(told))
    # Every way was gone: what went wrong is in the log.
    for event in (
        "instance finished",
        "process died",
        "profiles not changed",
        "started",
        "stopped",
        *filter(None, FATES.values()),
    ):
        assert event in log, event
    assert len(asked) >= 1

    assert traces(first) == traces(log) == []
    assert traces(text) == []
    assert [found for answer in answers for found in traces(answer)] == []
    assert list(columns(books)) == []
    assert [found for request in asked for found in traces(request)] == []
    outside = [
        path for path in (*files(folder / "data"), *files(temporary), *files(tmp_path / "out"))
        if not path.is_relative_to(folder / "data" / "spool")
    ]  # fmt: skip
    assert len(outside) > 3
    assert [path for path in outside if traces(path.read_bytes()) or traces(str(path))] == []
    # Outputs lie in the spool, and are clean; so are the names of all its files.
    assert [path for path in files(folder / "data" / "spool" / "out") if traces(path.read_bytes())] == []
    assert [path for path in files(folder / "data" / "spool") if traces(str(path))] == []
    assert command_lines.seen
    # The one who typed an original where a pseudonym belongs did so in this process, not in one of the gateway's.
    assert [line for line in command_lines.seen if traces(line)] == []
