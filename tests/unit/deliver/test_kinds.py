"""A kind of destination is a package, and nothing else: whoever must know of it finds it there."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import gateway.deliver
from gateway.deliver.kinds import KINDS
from tests.unit.test_architecture import imports, modules

#: Modules that are about one kind and no other: DICOM's conformance statement, folders of samples and of work offline.
ABOUT_ONE = {
    ("gateway.reference.conformance", "dicom_node"),
    ("gateway.samples.command", "folder"),
    ("gateway.service.offline", "folder"),
}

#: A kind that does not exist: it throws what it gets into a pigeonhole.
SETTINGS = '''
from pathlib import Path
from typing import ClassVar, Literal
from pydantic import Field
from gateway.deliver.destination_settings import DestinationSettings
from gateway.sections.section import FilePath, Port

class PigeonSettings(DestinationSettings):
    """A loft of pigeons."""

    codes: ClassVar[frozenset[str]] = frozenset({"hawk", "fog"})
    outages: ClassVar[frozenset[str]] = frozenset({"fog"})
    type: Literal["pigeon"] = Field(description="pigeons")
    loft: Port = Field(description="number of the loft", examples=[7])
    ring_file: FilePath = Field(description="file of the ring", examples=["ring.pem"])

    def warnings(self):
        yield "hawks"

    def key_files(self):
        yield "ring", self.ring_file

    def ports(self):
        yield "loft", self.loft

SECTION = PigeonSettings
'''
DESTINATION = """
class Pigeons:
    def __init__(self, name, settings, *, books=None):
        self.name, self.loft, self.books = name, settings.loft, books

DESTINATION = Pigeons
"""
#: Run with the folder of the kind and one of the test; says what it finds.
ASK = """
import json, sys
from pathlib import Path
import gateway.deliver
folder, work = map(Path, sys.argv[1:])
gateway.deliver.__path__.append(str(folder))
import gateway.settings.configuration
heavy = sorted({"requests", "pydicom"} & set(sys.modules))

from prometheus_client import generate_latest
from gateway.reference.settings_reference import configuration_reference
from gateway.custody.ownership import check_custody
from gateway.deliver.codes import OUTAGES, UNDELIVERED
from gateway.deliver.kinds import build_destination
from gateway.errors import ConfigurationError
from gateway.metrics import Metrics
from gateway.service.first_counts import begin_counting
from gateway.settings.configuration import load_settings

def load(text):
    path = work / "gateway.yaml"
    path.write_text(f"data: {work}/data\\ndicom: {{port: 11112}}\\ndestinations:\\n  roof: {text}\\n")
    return load_settings(path, {})

def refused(call, *arguments):
    try:
        call(*arguments)
    except ConfigurationError as error:
        return error.message
    return ""

ring = work / "ring.pem"
ring.write_text("")
ring.chmod(0o644)
good = load("{type: pigeon, loft: 7, ring_file: ring.pem}")
made = build_destination("roof", good.destinations["roof"], books="books")
metrics = Metrics()
begin_counting(metrics, good, {})
print(json.dumps({
    "heavy": heavy,
    "made": [made.name, made.loft, made.books],
    "misspelt": refused(load, "{type: pigeon, lofts: 7, ring_file: ring.pem}"),
    "unknown": refused(load, "{type: pidgeon, loft: 7, ring_file: ring.pem}"),
    "port": refused(load, "{type: pigeon, loft: 11112, ring_file: ring.pem}"),
    "key": refused(check_custody, good),
    "warnings": good.warnings(),
    "reference": configuration_reference(),
    "codes": ["hawk" in UNDELIVERED, "fog" in UNDELIVERED, "hawk" in OUTAGES, "fog" in OUTAGES],
    "metrics": generate_latest(metrics.registry).decode(),
}))
"""


def test_a_kind_that_is_a_package_is_known_everywhere(tmp_path: Path) -> None:
    package = tmp_path / "kinds" / "pigeon"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "settings.py").write_text(SETTINGS)
    (package / "destination.py").write_text(DESTINATION)
    asked = subprocess.run(
        [sys.executable, "-c", ASK, str(package.parent), str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout)
    # To read the configuration nothing is loaded that only delivering needs.
    assert found["heavy"] == []
    # The loader, in its own words of errors.
    assert found["made"] == ["roof", 7, "books"]
    assert "gateway.yaml" in found["misspelt"]
    assert "lofts" in found["misspelt"]
    assert "loft" in found["misspelt"].replace("lofts", "")
    assert "pigeon" in found["unknown"].replace("pidgeon", "")
    # The check: ports, keys and what is hardly meant.
    assert "roof.loft: something else of the gateway listens on 11112" in found["port"]
    assert "destinations.roof.ring" in found["key"]
    assert "destinations.roof: hawks" in found["warnings"]
    # The reference.
    assert "## `destinations.NAME (type: pigeon)`\n\nA loft of pigeons.\n" in found["reference"]
    assert "| `loft` | port | required | number of the loft |" in found["reference"]
    # The counters begin at zero, with the kind's own codes.
    assert found["codes"] == [True, True, False, True]
    assert 'gateway_deliveries_dead_total{destination="roof",reason="hawk"} 0.0' in found["metrics"]
    assert 'gateway_destination_outage{destination="roof",reason="fog"} 0.0' in found["metrics"]


def test_nobody_else_knows_the_kinds() -> None:
    folder = Path(gateway.deliver.__file__).parent
    kinds = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert kinds == {kind.__module__.split(".")[2] for kind in KINDS}
    known = modules()
    wrong = set()
    for module, path in known.items():
        for imported in _all_imports(path, known):
            kind = imported.removeprefix("gateway.deliver.").split(".")[0]
            if (
                kind in kinds
                and imported.startswith("gateway.deliver.")
                and not module.startswith(f"gateway.deliver.{kind}")
            ):
                wrong.add((module, kind))
    assert wrong == ABOUT_ONE


def _all_imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Imports inside functions as well."""
    inside = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return inside | set(imports(path, known))
