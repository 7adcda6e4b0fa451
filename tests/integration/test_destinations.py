"""Several destinations behind one gateway: conditions, confirmation, proof, and one that is down."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
from pydicom.uid import UID

from tests.fixtures.dcmtk import dcmsend, storescp
from tests.fixtures.gateway import gateway_server
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.ports import free_port, wait_until
from tests.fixtures.vouched import VOUCHED
from tests.integration.test_gateway import command, delivered, sources


def test_three_destinations_of_which_one_is_down(tmp_path: Path, orthanc: Orthanc) -> None:
    """Promise P4: two confirm, the third waits, the originals stay; it comes back, and all is confirmed by itself."""
    port = free_port()
    configuration = f"""{VOUCHED}
destinations:
  folder: {{type: folder, path: folder}}
  web: {{type: dicomweb, url: "{orthanc.dicomweb}", confirm: qido}}
  node: {{type: dicom, host: 127.0.0.1, port: {port}, called_ae: ARCHIVE}}
projects:
  default: {{profile: vouched, destinations: [folder, web, node]}}
storage: {{retention: 0s}}
retry: {{first_seconds: 0.2, longest_seconds: 0.5}}
"""
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
        files = sources(tmp_path / "in")
        assert dcmsend(running.dicom_port, [tmp_path / "in"]).status == 0
        wanted = {"folder": len(files), "web": len(files)}
        wait_until(lambda: wanted.items() <= running.deliveries("confirmed").items(), what="two destinations confirm")
        assert "node" not in running.deliveries("confirmed")
        wait_until(lambda: running.deliveries("failed").get("node") == len(files), what="the third has failed")
        assert running.count("deidentified") == len(files)
        assert len(list((running.data / "spool").rglob("*.dcm"))) >= len(files)
        configured = ("--config", str(tmp_path / "gateway" / "gateway.yaml"))
        checks = command(running, "destinations", "test", *configured)
        assert checks.returncode == 1
        assert "node: WRONG no association: connection refused" in checks.stdout
        assert "folder: ok" in checks.stdout
        assert "web: ok" in checks.stdout

        with storescp(tmp_path / "scp", port=port) as peer:
            delivered(running, len(files))
            assert len(list(peer.folder.iterdir())) == len(files)
            assert command(running, "destinations", "test", "folder", "node", "--send", *configured).returncode == 0
            assert len(list(peer.folder.iterdir())) == len(files) + 1
        assert command(running, "account").returncode == 0

        export = tmp_path / "receipts.jsonl"
        assert command(running, "receipts", "export", str(export)).returncode == 0
        receipts = [json.loads(line) for line in export.read_text(encoding="utf-8").splitlines()]
        assert len(receipts) == 3 * len(files)
        codes = {(one["destination"]["name"], one["confirmation"]["code"]) for one in receipts}
        assert codes == {("folder", "stored"), ("web", "found"), ("node", "stored")}
        # One instance, three receipts, one output.
        shown = command(running, "receipts", "show", str(receipts[0]["instance"]))
        assert shown.stdout.count(receipts[0]["output"]["sha256"]) == 3
        verified = command(running, "receipts", "verify", str(export))
        assert (verified.returncode, verified.stdout.splitlines()[-1]) == (0, "verified")
        export.write_text(export.read_text(encoding="utf-8").replace('"bytes":', '"bytes":1', 1), encoding="utf-8")
        tampered = command(running, "receipts", "verify", str(export))
        assert tampered.returncode == 1
        assert "was exported with another content" in tampered.stdout


def test_conditions_and_completeness_decide_what_goes_where_and_when(tmp_path: Path) -> None:
    configuration = f"""{VOUCHED}
destinations:
  images: {{type: folder, path: images, when: 'present("Rows") && Modality != "US"'}}
  plans: {{type: folder, path: plans, when: 'Modality == "RTPLAN"'}}
  ct:
    type: folder
    path: ct
    when: 'Modality == "CT" && calling_ae == "DCMSEND"'
    completeness: {{quiet_seconds: 3600, expected_instances: 2}}
projects:
  default: {{profile: vouched, destinations: [plans, ct, images]}}
"""
    with gateway_server(tmp_path / "gateway", configuration=configuration) as running:

        def arrived() -> dict[str, int]:
            return {name: len(list((tmp_path / "gateway" / name).rglob("*.dcm"))) for name in ("images", "plans", "ct")}

        files = sources(tmp_path / "in")
        taken = [path for path in files if pydicom.dcmread(path).Modality != "US"]
        assert dcmsend(running.dicom_port, [tmp_path / "in"]).status == 0
        # No destination takes the ultrasound image; the one CT image waits for the rest of its study.
        delivered(running, len(files) - len(taken), state="held")
        assert "no-destination" in command(running, "held", "list").stdout
        delivered(running, len(taken) - 1)
        assert arrived() == {"images": len(taken) - 1, "plans": 1, "ct": 0}
        second = tmp_path / "second.dcm"
        instance = pydicom.dcmread(next(path for path in files if path.name == "CT_small.dcm"))
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = UID(f"{instance.SOPInstanceUID}.1")
        instance.save_as(second)
        assert dcmsend(running.dicom_port, [second]).status == 0
        delivered(running, len(taken) + 1)
        assert arrived() == {"images": len(taken), "plans": 1, "ct": 2}
        assert command(running, "account").returncode == 0
