"""The whole way to XNAT: a sender, the running gateway with its dispatcher and ledger, and doubles with their faults.

One gateway delivers one study to many XNATs at once, each with a fault of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from gateway.ledger import DeliveryEntry, DeliveryState, Ledger
from gateway.settings.configuration import load_settings
from gateway.treatment.resources import open_ledger
from tests.fixtures.commands import Answer, gateway_command
from tests.fixtures.dcmtk import storescu
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.ports import wait_until
from tests.fixtures.xnat import XnatDouble, xnat_server

INSTANCES: Final = 5
FOREVER: Final = 1_000_000


@dataclass(frozen=True)
class Case:
    """A fault, and where the deliveries of the study end.

    Attributes
    ----------
    name: of the destination
    faults: switch -> at how many imports it is on
    end: code and state of the deliveries at the end
    imports: requests that carry instances, where their number is certain: what has failed comes back at random times
    settings: further keys of the destination
    """

    name: str
    faults: Mapping[str, int]
    end: tuple[str, str] = ("confirmed", "archived")
    imports: int | None = None
    settings: str = ""


CASES: Final = (
    Case("good", {}, imports=1),
    Case("gradual", {}, imports=INSTANCES, settings="mode: gradual"),
    Case("stow", {}, settings="mode: stow"),
    Case("prearchive", {}, ("confirmed", "prearchived"), imports=1, settings="into: prearchive"),
    # By the project's setting, auto-archive: the commit answers 301 with a body.
    Case("by-project", {}, imports=INSTANCES, settings="mode: gradual, into: project"),
    # 200, and nothing is there: sent again, as often as it takes.
    Case("store-nothing", {"store-nothing": 2}),
    Case("liar", {"store-nothing": FOREVER}, ("dead", "missing")),
    # One is missing: only that one is sent again.
    Case("drop-one", {"drop-one": 1}, imports=2),
    Case("lose", {"lose": 1}),
    Case("empty-answer", {"empty-answer": 1}, ("dead", "rejected"), imports=1),
    # Everything is stored, whatever the status says: not sent again.
    Case("error-after-storing", {"error-after-storing": 1}, imports=1),
    Case("error-before-storing", {"error-before-storing": FOREVER}, ("dead", "server-error")),
    Case("error-before-archiving", {"error-before-archiving": 1}),
    Case("conflict", {"conflict": 1}, ("dead", "conflict"), imports=1),
    Case("conflict-unsaid", {"conflict-unsaid": 1}, ("dead", "conflict"), imports=1),
    Case("unassigned", {"unassigned": INSTANCES}, ("dead", "misrouted"), imports=1),
    Case("elsewhere", {"elsewhere": INSTANCES}, ("dead", "misrouted"), imports=1),
    Case("reset", {"reset": 1}),
    Case("silence", {"silence": 1}, settings="timeout_seconds: 2"),
    Case("busy", {"busy": 1}),
    Case("full", {"full": 1}),
    # In smaller parts, until each fits.
    Case("too-large", {"too-large": FOREVER}),
    Case("concurrent", {"concurrent": 1}),
    Case("logged-out", {"logged-out": 1}, imports=2),
    # That concerns the destination as a whole: one instance tries it now and then, and none is given up.
    Case("redirect", {"redirect": FOREVER}, ("failed", "redirect")),
    Case("building", {"building": 1}, ("sent", "processing"), imports=1, settings="ask_seconds: 0.5"),
    Case("html", {"html": 1}),
    # Looked at before: nothing is ever sent to a project that is not there, or not the user's.
    Case("no-project", {}, ("dead", "no-project"), imports=0),
    Case("no-rights", {}, ("dead", "no-rights"), imports=0),
)  # fmt: skip


@contextmanager
def doubles(folder: Path) -> Iterator[dict[str, XnatDouble]]:
    with ExitStack() as stack:
        running = {}
        for case in CASES:
            projects = [] if case.name == "no-project" else ["CHEST", "OTHER"]
            double = running[case.name] = stack.enter_context(xnat_server(folder / case.name, projects=projects))
            for fault, times in case.faults.items():
                double.faults.set(fault, times=times)
        running["no-rights"].rights["gateway"]["CHEST"] = "read"
        # A person archives.
        running["prearchive"].store.projects["CHEST"].code = 0
        yield running


def configuration(running: Mapping[str, XnatDouble]) -> str:
    auth = "auth: {type: basic, username: gateway, password: '${XNAT_PASSWORD}'}"
    # One zip for the whole study: so it is certain what each fault meets.
    whole = "completeness: {quiet_seconds: 3}"
    lines = [
        f"  {case.name}: {{type: xnat, url: '{running[case.name].url}', project: CHEST, connections: 1, {auth}, {whole}"
        + (f", {case.settings}}}" if case.settings else "}")
        for case in CASES
    ]
    names = ", ".join(case.name for case in CASES)
    return "\n".join(
        [
            "destinations:", *lines, f"projects: {{chest: {{destinations: [{names}]}}}}",
            "retry: {first_seconds: 0.05, longest_seconds: 0.1, attempts: 5}",
        ]
    )  # fmt: skip


def study(folder: Path) -> Path:
    folder.mkdir()
    original = get_testdata_file("CT_small.dcm")
    assert original is not None
    data_set = pydicom.dcmread(Path(str(original)))
    for number in range(INSTANCES):
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.77{number}")
        data_set.InstanceNumber = number + 1
        data_set.save_as(folder / f"{number}.dcm")
    return folder


def deliveries(ledger: Ledger, name: str) -> list[DeliveryEntry]:
    return ledger.deliveries.entries(destination=name)


def command(running: GatewayProcess, *arguments: str) -> Answer:
    configured = {"XNAT_PASSWORD": "s3cret", "GATEWAY_CONFIG": str(running.data.parent / "gateway.yaml")}
    return gateway_command(*arguments, environ=running.environ | configured)


def test_every_fault_ends_in_a_state_that_names_it(tmp_path: Path) -> None:
    environ = {"XNAT_PASSWORD": "s3cret"}
    with (
        doubles(tmp_path / "xnat") as running,
        gateway_server(tmp_path / "gateway", configuration=configuration(running), environ=environ) as gateway,
    ):
        assert storescu(gateway.dicom_port, [study(tmp_path / "in")], options=["+sd", "+r"]).status == 0
        settings = load_settings(tmp_path / "gateway" / "gateway.yaml", gateway.environ | environ)
        ledger = open_ledger(settings)
        try:
            _check_ends(ledger, running)
            assert command(gateway, "account").returncode == 0
            # An original stays as long as one destination has not confirmed it.
            assert {row.state for row in ledger.figures.status().instances} == {"deidentified"}
            _mend(running)
            assert command(gateway, "deliveries", "retry").returncode == 0
            _check_all_confirmed(ledger, running)
            assert command(gateway, "account").returncode == 0
        finally:
            ledger.close()
        spoken = gateway.process.output + gateway.get("/metrics").text
        assert "s3cret" not in spoken
        assert "CompressedSamples" not in spoken


def _check_ends(ledger: Ledger, running: Mapping[str, XnatDouble]) -> None:
    for case in CASES:

        def ended(case: Case = case) -> bool:
            found = deliveries(ledger, case.name)
            return len(found) == INSTANCES and {(one.state, one.code) for one in found} == {case.end}

        try:
            wait_until(ended, what=case.name)
        except TimeoutError as error:
            raise AssertionError(
                [(one.state, one.code, one.detail) for one in deliveries(ledger, case.name)]
            ) from error
        double = running[case.name]
        imports = len(double.made("POST", "/data/services/import"))
        assert case.imports in {None, imports}, (case.name, imports, double.requests)
        _check_double(case, double)


def _check_double(case: Case, double: XnatDouble) -> None:
    """What the ledger says of the double is so."""
    archived = double.store.archived("CHEST") if "CHEST" in double.store.projects else {}
    if case.end == ("confirmed", "archived"):
        assert len(archived) == INSTANCES, case.name
        [session] = double.store.projects["CHEST"].experiments.values()
        outputs = [pydicom.dcmread(path) for path in session.folder.rglob("*.dcm")]
        assert {output.StudyInstanceUID for output in outputs} == {session.study_uid}
        assert {output.PatientID for output in outputs} == {session.subject}
        assert "CompressedSamples" not in session.label
        assert double.store.rows == [], case.name
    elif case.end == ("confirmed", "prearchived"):
        assert len(double.store.waiting("CHEST")) == INSTANCES
    else:
        assert archived == {}, case.name


def _mend(running: Mapping[str, XnatDouble]) -> None:
    """What an administrator of XNAT does when told."""
    for case in CASES:
        double = running[case.name]
        for fault in case.faults:
            double.faults.set(fault, times=0)
        if case.end[1] in {"conflict", "misrouted"}:
            for row in list(double.store.rows):
                double.store.delete(row)
    running["building"].store.settle()
    running["no-project"].project("CHEST")
    running["no-rights"].rights["gateway"]["CHEST"] = "edit"
    for double in running.values():
        # Idle sessions have ended meanwhile.
        double.expire()


def _check_all_confirmed(ledger: Ledger, running: Mapping[str, XnatDouble]) -> None:
    total = len(CASES) * INSTANCES

    def all_confirmed() -> bool:
        return (
            sum(row.count for row in ledger.figures.status().deliveries if row.state == DeliveryState.CONFIRMED)
            == total
        )

    wait_until(all_confirmed, what="all is confirmed")
    wait_until(
        lambda: {row.state for row in ledger.figures.status().instances} == {"delivered"},
        what="all instances are delivered",
    )
    for case in CASES:
        store = running[case.name].store
        assert len(store.archived("CHEST")) + len(store.waiting("CHEST")) == INSTANCES, case.name
