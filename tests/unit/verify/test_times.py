"""The verifier finds by itself whether times of day are as coarse as the profile says."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom.instance import Instance
from gateway.errors import LeakSuspected
from gateway.profile import Program, load_profile, shipped_profiles
from gateway.verify import Verifier
from gateway.verify.clock_times import is_coarse
from tests.unit.verify.support import encoded, item, joined, opened, original, write


@pytest.mark.parametrize(
    ("vr", "raw", "hour", "remove"),
    [
        (b"TM", b"", True, True),
        (b"TM", b"14", True, False),
        (b"TM", b"14\\15 ", True, False),
        (b"TM", b"14-15", True, False),
        (b"TM", b"1400", False, False),  # more than the hour is claimed
        (b"TM", b"14:35", False, False),
        (b"TM", b"143522", False, False),
        (b"TM", b"14\\1535", False, False),
        (b"TM", b"14-1535", False, False),
        (b"TM", b"000000.0", True, True),  # a dummy
        (b"DT", b"20240315", True, True),
        (b"DT", b"2024031514+0100", True, False),
        (b"DT", b"2024031514-0500\\20240316 ", True, False),
        (b"DT", b"20240315-20240316", True, True),
        (b"DT", b"202403151435", False, False),
        (b"DT", b"20240315-202403161435", False, False),
        (b"DT", b"19000101000000", True, True),  # a dummy
        (b"DT", b"20240315143522.5+0100", False, False),
    ],
)
def test_what_is_coarse(vr: bytes, raw: bytes, hour: bool, remove: bool) -> None:
    assert (is_coarse("hour", vr, raw), is_coarse("remove", vr, raw)) == (hour, remove)


@pytest.fixture(scope="module", params=["hour", "remove"])
def coarse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    file = tmp_path_factory.mktemp("profile") / "coarse.yaml"
    file.write_text(
        "profile: coarse\nuse: [basic, retain-longitudinal-full-dates, clean-structured-content]\n"
        f"times: {request.param}\n"
        "attributes:\n"
        '  - {keep: [ContentTime, StudyDescription, "(0019,xx10) ACME"], because: needed}\n'
        '  - {keep: ["(0021,xxxx) ACME"], because: a block}\n',
        encoding="utf-8",
    )
    return load_profile(str(file), search=[shipped_profiles()])


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    source = original(
        PatientID="MRN-0048151",
        StudyInstanceUID="1.2.276.0.7230010.3.1.2.9",
        StudyDate="20240229",
        StudyTime="093122",
        SeriesTime="140000",
        ContentTime="101112",
        AcquisitionDateTime="20240229143522.25+0100",
        StudyDescription="THORAX",
        RequestAttributesSequence=[item(RequestedProcedureDescription="THORAX")],
        PerformedProcedureStepStartTime="2359",
    )
    for group in (0x0019, 0x0021):
        block = source.private_block(group, "ACME", create=True)
        block.add_new(0x10, "TM", "174455")
    with opened(write(tmp_path / "original.dcm", source)) as found:
        yield found


def put(**values: object) -> Callable[[Dataset], object]:
    def spoil(output: Dataset) -> None:
        for keyword, value in values.items():
            setattr(output, keyword, value)

    return spoil


def nested(**values: object) -> Callable[[Dataset], object]:
    return lambda output: setattr(output, "RequestAttributesSequence", [item(**values)])


def private(group: int, value: str) -> Callable[[Dataset], object]:
    def spoil(output: Dataset) -> None:
        output.private_block(group, "ACME", create=True).add_new(0x10, "TM", value)

    return spoil


BOTH = ("hour", "remove")


@pytest.mark.parametrize(
    ("spoil", "held"),
    [
        # the output of the engine; what rules keep by name
        (lambda output: None, ()),
        (put(ContentTime="101112"), ()),
        (private(0x0019, "174455"), ()),
        # whole times, at the top, inside, of private elements of a block
        (put(StudyTime="093122"), BOTH),
        (put(StudyTime="0931"), BOTH),
        (put(AcquisitionDateTime="202402291435"), BOTH),
        (nested(ScheduledProcedureStepStartDateTime="20240229143522"), BOTH),
        (private(0x0021, "174455"), BOTH),
        # times that the original does not have
        (put(StudyTime="111111"), BOTH),
        # the hour
        (put(StudyTime="09"), ("remove",)),
        (put(AcquisitionDateTime="2024022914"), ("remove",)),
        # in texts, however they are written
        (put(StudyDescription="THORAX 9:31"), BOTH),
        (put(StudyDescription="THORAX 09:31:22"), BOTH),
        (put(StudyDescription="THORAX 2:35 PM"), BOTH),
        (put(StudyDescription="THORAX 2.35 p.m."), BOTH),
        (put(StudyDescription="THORAX 14.35 h"), BOTH),
        (put(StudyDescription="THORAX 1435 Uhr"), BOTH),
        (put(StudyDescription="THORAX 14h35"), BOTH),
        (put(StudyDescription="THORAX 2024-02-29T14:35"), BOTH),
        (put(StudyDescription="THORAX 143522"), BOTH),
        (put(StudyDescription="THORAX 20240229143522"), BOTH),
        (put(StudyDescription="THORAX 23:59"), BOTH),
        (nested(ScheduledProcedureStepID="x", RequestedProcedureDescription="093122"), BOTH),
        # on the stroke of the hour nothing is told that is not left
        (put(StudyDescription="THORAX 14:00"), ("remove",)),
        # no times, or none of this original, or one that a rule keeps
        (put(StudyDescription="THORAX 1435"), ()),
        (put(StudyDescription="THORAX 14.35"), ()),
        (put(StudyDescription="THORAX 14.35 mm"), ()),
        (put(StudyDescription="THORAX 2:36 PM"), ()),
        (put(StudyDescription="THORAX 10:11"), ()),
        (put(StudyDescription="THORAX A093122B"), ()),
        (put(StudyDescription="THORAX 1.093122.7"), ()),
    ],
)
def test_spoilt_outputs(
    coarse: Program, instance: Instance, spoil: Callable[[Dataset], object], held: tuple[str, ...]
) -> None:
    output = joined(Deidentifier(coarse, ProjectKey(b"k" * 32)).apply(instance).segments)
    dataset = pydicom.dcmread(io.BytesIO(output))
    spoil(dataset)
    bare = Dataset()
    bare._dict.update(dataset._dict)
    content = output[: 144 + int.from_bytes(output[140:144], "little")] + encoded(bare)
    if coarse.times in held:
        with pytest.raises(LeakSuspected):
            Verifier(coarse).check(instance, [content])
    else:
        Verifier(coarse).check(instance, [content])
