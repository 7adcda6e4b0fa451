"""Faces out of whole series: the running gateway, real senders, the shipped command, and a person who is asked."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from tests.fixtures.commands import gateway_command
from tests.fixtures.dcmtk import storescu
from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.fixtures.head import head_slices
from tests.fixtures.ports import wait_until
from tests.fixtures.treating import stored

PROFILE = "profile: heads\nuse: [basic, clean-recognizable-visual-features]\n"
CONFIGURATION = """\
profiles: [.]
projects:
  default: {{profile: heads}}
deface:
  command: [{python}, {script}]
  quiet_seconds: 1.5
"""
#: The shipped command for CT; for MR one that hangs the first time, and finds hardly anything the second.
SCRIPT = """\
import json, os, pathlib, sys, time
source, target = map(pathlib.Path, sys.argv[1:])
if json.loads((source / "series.json").read_text())["modality"] == "CT":
    os.execv(sys.executable, [sys.executable, "-I", "-m", "gateway.pixels.faces.atlas", *sys.argv[1:]])
started = pathlib.Path(__file__).with_name("started")
if not started.exists():
    started.with_suffix(".new").write_text(f"{os.getppid()} {os.getpid()}")
    started.with_suffix(".new").rename(started)
    time.sleep(600)
volume = bytearray((source / "volume.nii").read_bytes())
volume[352:] = bytes(len(volume) - 352)
volume[-4000:] = b"\\0\\0\\x80\\x3f" * 1000
(target / "mask.nii").write_bytes(volume)
"""


def series(folder: Path, number: int, slices: list[Dataset]) -> list[Path]:
    """The files of a series; instances have numbers from 1."""
    folder.mkdir()
    paths = []
    for place, source in enumerate(slices, 1):
        source.StudyInstanceUID = "1.2.276.0.7230010.3.9"
        source.SeriesInstanceUID = f"1.2.276.0.7230010.3.9.{number}"
        source.SOPInstanceUID = f"1.2.276.0.7230010.3.9.{number}.{place}"
        paths.append(stored(folder, source).rename(folder / f"{place}.dcm"))
    return paths


def ask(running: GatewayProcess, *arguments: str, status: int = 0) -> str:
    answer = gateway_command(*arguments, environ=running.environ)
    assert answer.returncode == status, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def outputs(running: GatewayProcess, modality: str) -> list[pydicom.FileDataset]:
    found = [pydicom.dcmread(path) for path in running.archive.rglob("*.dcm")]
    return sorted((one for one in found if one.Modality == modality), key=lambda one: int(one.InstanceNumber))


def codes(output: Dataset) -> set[str]:
    return {str(item.CodeValue) for item in output.DeidentificationMethodCodeSequence}


def test_faces_go_with_their_series(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    folder.mkdir()
    (folder / "heads.yaml").write_text(PROFILE, encoding="utf-8")
    script = folder / "find.py"
    script.write_text(SCRIPT, encoding="utf-8")
    ct = head_slices(BodyPartExamined="HEAD")
    mr = head_slices("MR", plane="sagittal", pixels=6, gap=6)
    first = series(tmp_path / "ct", 1, ct)
    second = series(tmp_path / "mr", 2, mr)
    with gateway_server(folder, configuration=CONFIGURATION.format(python=sys.executable, script=script)) as running:
        # All but one slice of the CT first; whatever the order, all have to wait.
        assert storescu(running.dicom_port, [*first[:20:-1], *first[:20]]).status == 0
        wait_until(lambda: running.count("delivered") == len(ct) - 1, what="the series goes on", seconds=120)
        _check_ct(outputs(running, "CT"), [*ct[:20], *ct[21:]])
        # The last one makes the series be looked at again, and goes with it.
        assert storescu(running.dicom_port, [first[20]]).status == 0
        wait_until(lambda: running.count("delivered") == len(ct), what="the late slice goes on", seconds=120)
        wait_until(lambda: running.count("received") == 0, what="nothing is under way")
        _check_ct(outputs(running, "CT"), ct)

        # A worker that is killed at it takes the command with it, and leaves the series to the next one.
        assert storescu(running.dicom_port, second).status == 0
        started = folder / "started"
        wait_until(started.exists, what="a face is looked for in the MR", seconds=120)
        worker, command = map(int, started.read_text().split())
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not alive(command), what="the command has ended")
        assert [one.name.split("-")[1] for one in (running.data / "spool" / "work").iterdir()] == [str(worker)]

        # What a command found is not believed: the MR is held, once for its series, until a person has seen it.
        once = f"still there. ({len(mr)} instances of the series)"
        wait_until(lambda: once in ask(running, "held", "list"), what="the MR is held once", seconds=120)
        listed = ask(running, "held", "list").splitlines()
        assert len(listed) == 2
        number = listed[1].split()[0]
        assert 'gateway_series{reason="features-suspected"} 1.0' in running.get("/metrics").text
        picture = tmp_path / "preview.png"
        assert "was not shown to you" in ask(running, "held", "deface", number, "--because", "x", status=2)
        assert "may show who the patient is" in ask(running, "held", "preview", number, "-o", str(picture))
        assert picture.read_bytes().startswith(b"\x89PNG")
        ask(running, "held", "deface", number, "--because", "it is a phantom")
        wait_until(lambda: running.count("delivered") == len(ct) + len(mr), what="the MR goes on", seconds=60)
        assert all("113102" in codes(one) for one in outputs(running, "MR"))
        assert "balanced" in ask(running, "account")
        figures = running.get("/metrics").text
        for line in (
            'gateway_series_looked_at_total{project="default",verdict="blank"} 2.0',
            'gateway_series_looked_at_total{project="default",verdict="doubt"} 1.0',
            'gateway_series{reason="waits-for-series"} 0.0',
            'gateway_series{reason="features-suspected"} 0.0',
            'gateway_worker_restarts_total{role="deidentify"} 1.0',
        ):
            assert line in figures
        assert not list((running.data / "spool" / "work").iterdir())
        spoken = running.process.output + running.get("/metrics").text
    assert not any(name in spoken for name in ("MOCKBURY", "MRN-4711", "1.2.276.0.7230010.3"))


def _check_ct(found: list[pydicom.FileDataset], sent: list[Dataset]) -> None:
    """The face is air, all else as it was, and every slice says so, those above the face as well."""
    assert len(found) == len(sent)
    blanked = 0
    for output, source in zip(found, sent, strict=True):
        received = np.frombuffer(source.PixelData, "<u2").reshape(source.Rows, source.Columns)
        changed = output.pixel_array != received
        assert (output.pixel_array[changed] == 24).all()
        blanked += int(changed.sum())
        assert output.ImagePositionPatient == source.ImagePositionPatient
        assert output.RecognizableVisualFeatures == "NO"
        assert "113102" in codes(output)
    assert blanked > 1000
