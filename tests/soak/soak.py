"""The run: a gateway, studies that are all of different patients, and a look at its processes every few seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fixtures.gateway import GatewayProcess, gateway_server
from tests.soak.load import Load
from tests.soak.sizes import Course, Verdict, descendants, judge, name_of, size_of

_LOOK_SECONDS: Final = 5.0
_PROFILE: Final = """
profile: soak
use: [basic]
pixels:
  - mask: [[0, 0, 2, 2]]
    when: Modality == "CT" || Modality == "MR"
    because: codecs have work
"""
_DRAIN_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a run found.

    Attributes
    ----------
    verdicts: process -> how it went on
    sent: instances that were acknowledged
    refused: why instances were not acknowledged -> how many
    states: state of instances -> how many, at the end
    reasons: state and code of those that did not go out -> how many, as the ledger has them
    faults: what is wrong with the run as a whole
    """

    verdicts: Mapping[str, Verdict]
    sent: int
    refused: Mapping[str, int]
    states: Mapping[str, int]
    reasons: Mapping[tuple[str, str], int]
    faults: tuple[str, ...]

    @property
    def is_flat(self) -> bool:
        """Whether everything held."""
        return not self.faults and not any(verdict.faults for verdict in self.verdicts.values())


def soak(
    folder: Path,
    *,
    minutes: float,
    rate: float,
    warm_up: float,
    tolerance: float,
    seed: int,
    of_a_study: int,
    every_kind: bool,
) -> Soaked:
    """Run a gateway under constant load and watch its processes.

    Parameters
    ----------
    folder: for everything; does not exist
    minutes: how long
    rate: instances a second
    warm_up: the part of the time in which processes may grow
    tolerance: what they may gain after it, such as 0.05
    seed, of_a_study, every_kind: decide what is sent (``Load``)
    """
    profiles = folder / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "soak.yaml").write_text(_PROFILE, encoding="utf-8")
    with gateway_server(folder, configuration=_configuration(folder), cold=True) as running:
        load = Load(running.dicom_port, rate=rate, seed=seed, of_a_study=of_a_study, every_kind=every_kind)
        load.start()
        courses: dict[str, Course] = {}
        replaced: set[str] = set()
        end = time.monotonic() + minutes * 60
        looks = 0
        while time.monotonic() < end:
            _look(running, courses, replaced)
            _empty(folder / "archive")
            looks += 1
            time.sleep(_LOOK_SECONDS)
        load.stopping.set()
        load.join()
        states, reasons = _drained(running)
    # One that came late, as codecs do, has had a shorter warm-up by as much.
    verdicts = {
        name: judge(course.sizes, warm_up=max(0, round(looks * warm_up) - (looks - len(course.sizes))),
                    tolerance=tolerance)
        for name, course in courses.items()
    }  # fmt: skip
    faults = [f"{name} was started again" for name in sorted(replaced)]
    if load.refused:
        faults.append(f"{load.refused.total()} instances were refused")
    if waiting := states.get("received", 0) + states.get("deidentified", 0):
        faults.append(f"{waiting} instances still wait")
    return Soaked(verdicts, load.sent, dict(load.refused), states, reasons, tuple(faults))


def _configuration(folder: Path) -> str:
    return json.dumps({
        "data": str(folder / "data"),
        "profiles": [str(folder / "profiles")],
        "projects": {"default": {"profile": "soak"}},
        "destinations": {"archive": {"type": "folder", "path": str(folder / "archive")}},
        # Short, so that originals are purged under way.
        "storage": {"retention": "1m"},
        "log": {"format": "json"},
    })  # fmt: skip


def _look(running: GatewayProcess, courses: dict[str, Course], replaced: set[str]) -> None:
    workers = {running.process.pid: "supervisor", **dict(_started(running))}
    for pid in descendants(running.process.pid):
        name, size = name_of(pid, workers), size_of(pid)
        if name is None or size is None:
            continue
        course = courses.setdefault(name, Course(pid))
        if course.pid != pid:
            replaced.add(name)
            course.pid = pid
        course.sizes.append(size)


def _started(running: GatewayProcess) -> Iterator[tuple[int, str]]:
    for line in running.process.output.splitlines():
        if '"process started"' in line:
            event = json.loads(line)
            yield int(event["pid"]), str(event["worker"])


def _empty(archive: Path) -> None:
    """Take away what was delivered: days of it would fill the disk."""
    for path in archive.rglob("*.dcm"):
        path.unlink(missing_ok=True)


def _drained(running: GatewayProcess) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """How many instances are in each state when nothing is under way any more, or after minutes; and with each code."""
    end = time.monotonic() + _DRAIN_SECONDS
    while True:
        states: dict[str, int] = {}
        reasons: dict[tuple[str, str], int] = {}
        status = running.get("/api/status").json()
        for row in status["instances"]:
            states[row["state"]] = states.get(row["state"], 0) + row["count"]
        for row in status["reasons"]:
            reason = row["state"], row["code"]
            reasons[reason] = reasons.get(reason, 0) + row["count"]
        if not states.get("received", 0) + states.get("deidentified", 0) or time.monotonic() > end:
            return states, reasons
        time.sleep(1)
