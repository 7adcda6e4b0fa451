"""Other people's XNAT clients drive the double: what they understand of XNAT, it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from tests.fixtures.xnat import XnatDouble, xnat_server

COUNT = 3
#: Speaks to the double with xnatpy, and tells what it saw.
XNATPY = """
import json, sys, xnat
url, source = sys.argv[1:]
with xnat.connect(url, user="gateway", password="s3cret", no_parse_model=True) as session:
    row = session.services.import_(
        source, project="CHEST", subject="S1", experiment="E1", destination="/prearchive/projects/CHEST",
        import_handler="DICOM-zip", overwrite="append",
    )
    seen = {"label": row.label, "status": row.status, "project": row.project, "subject": row.subject}
    seen["prearchive"] = len(session.prearchive.sessions())
    answer = session.post("/data/services/archive", query={"src": row.uri.removeprefix("/data")})
    seen["archived"] = answer.text.strip()
    table = session.get_json("/data/projects/CHEST/experiments", query={"columns": "ID,label,UID"})
    seen["experiments"] = [one["label"] for one in table["ResultSet"]["Result"]]
    scans = session.get_json("/data/projects/CHEST/subjects/S1/experiments/E1/scans/1/files")
    seen["files"] = len(scans["ResultSet"]["Result"])
print(json.dumps(seen))
"""
#: Lists the double's content with pyxnat, which knows no import.
PYXNAT = """
import json, sys, types
# Imported by its helpers for derived data, and not declared.
sys.modules |= {name: types.ModuleType(name) for name in ("nibabel", "pandas")}
from pyxnat import Interface
central = Interface(server=sys.argv[1], user="gateway", password="s3cret", verify=False)
project = central.select.project("CHEST")
seen = {
    "projects": central.select.projects().get(),
    "subjects": [one.label() for one in project.subjects()],
    "experiments": [one.label() for one in project.experiments()],
    "prearchive": central.manage.prearchive.get(),
}
central.disconnect()
print(json.dumps(seen))
"""


@pytest.fixture
def xnat(tmp_path: Path) -> Iterator[XnatDouble]:
    with xnat_server(tmp_path / "xnat") as double:
        # A manual project: in others the archive service answers with a redirect.
        double.store.projects["CHEST"].code = 0
        yield double


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    original = get_testdata_file("CT_small.dcm")
    assert original is not None
    data_set = pydicom.dcmread(Path(str(original)))
    for number in range(COUNT):
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.88{number}")
        data_set.save_as(folder / f"{number}.dcm")
    return folder


def run(command: list[str], tmp_path: Path, **environ: str) -> str:
    done = subprocess.run(
        command, env=os.environ | environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=120,
        check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def zipped(files: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.make_archive(str(tmp_path / "study"), "zip", files))


@pytest.mark.parametrize("mode", ["zip", "tar", "gradual"])
def test_xnatctl(xnat: XnatDouble, files: Path, tmp_path: Path, mode: str) -> None:
    run(
        [
            sys.executable, "-m", "xnatctl", "session", "upload", str(files), "-P", "CHEST", "-S", "S1", "-E", "E1",
            "--mode", mode, "--workers", "1", "--prearchive", "--overwrite", "append",
        ],
        tmp_path, XNAT_URL=xnat.url, XNAT_USER="gateway", XNAT_PASS="s3cret",
    )  # fmt: skip
    assert len(xnat.store.waiting("CHEST")) == COUNT
    [row] = xnat.store.rows
    assert (row.subject, row.name) == ("S1", "E1")


def test_xnatpy(xnat: XnatDouble, files: Path, tmp_path: Path) -> None:
    output = run([sys.executable, "-c", XNATPY, xnat.url, str(zipped(files, tmp_path))], tmp_path)
    seen = json.loads(output.splitlines()[-1])
    assert seen == {
        "label": "E1",
        "status": "READY",
        "project": "CHEST",
        "subject": "S1",
        "prearchive": 1,
        "archived": "/data/archive/projects/CHEST/subjects/S1/experiments/E1",
        "experiments": ["E1"],
        "files": COUNT,
    }
    assert len(xnat.store.archived("CHEST")) == COUNT


def test_pyxnat(xnat: XnatDouble, files: Path, tmp_path: Path) -> None:
    run([sys.executable, "-c", XNATPY, xnat.url, str(zipped(files, tmp_path))], tmp_path)
    output = run([sys.executable, "-c", PYXNAT, xnat.url], tmp_path)
    seen = json.loads(output.splitlines()[-1])
    assert seen == {"projects": ["CHEST"], "subjects": ["S1"], "experiments": ["E1"], "prearchive": []}
