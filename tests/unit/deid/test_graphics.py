"""Graphics stay, texts in them are cleaned."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from gateway.profile import Program
from tests.unit.deid.cleaning import CT, PRESENTATION_STATE, deidentified, instance, item, program


@pytest.fixture(scope="module")
def graphics(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), "clean-graphics")


def text(value: str) -> Dataset:
    return item(
        UnformattedTextValue=value,
        AnchorPoint=[1.0, 1.0],
        AnchorPointVisibility="Y",
        AnchorPointAnnotationUnits="PIXEL",
    )


def drawing() -> Dataset:
    return item(
        GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=1, GraphicData=[3.0, 4.0],
        GraphicType="POINT",
    )  # fmt: skip


def state(*annotations: Dataset) -> Dataset:
    return instance(
        PRESENTATION_STATE,
        Modality="PR",
        GraphicAnnotationSequence=list(annotations),
        GraphicLayerSequence=[
            item(GraphicLayer="ANATOMY", GraphicLayerOrder=1, GraphicLayerDescription="torax de García"),
            item(GraphicLayer="GARCIA", GraphicLayerOrder=2, GraphicLayerDescription="García"),
        ],
    )


@pytest.mark.parametrize("implicit", [False, True])
def test_texts_are_cleaned_and_drawings_stay(graphics: Program, tmp_path: Path, *, implicit: bool) -> None:
    source = state(
        item(GraphicLayer="ANATOMY", TextObjectSequence=[text("torax García"), text("García")]),
        item(GraphicLayer="GARCIA", TextObjectSequence=[text("María")], GraphicObjectSequence=[drawing()]),
        # nothing is left of this one
        item(GraphicLayer="GARCIA", TextObjectSequence=[text("María")]),
    )
    source.GraphicAnnotationSequence[1].ReferencedImageSequence = [
        item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.276.0.7230010.3.1.4.8")
    ]
    output = deidentified(source, graphics, tmp_path, implicit=implicit)
    first, second = output.GraphicAnnotationSequence
    assert [one.UnformattedTextValue for one in first.TextObjectSequence] == ["torax"]
    assert list(first.TextObjectSequence[0].AnchorPoint) == [1.0, 1.0]
    assert "TextObjectSequence" not in second
    assert list(second.GraphicObjectSequence[0].GraphicData) == [3.0, 4.0]
    assert second.ReferencedImageSequence[0].ReferencedSOPInstanceUID.startswith("2.25.")
    # layers: known words stay, other names become keyed ones, the same in both places
    known, other = output.GraphicLayerSequence
    assert (known.GraphicLayer, known.GraphicLayerDescription) == ("ANATOMY", "torax")
    assert other.GraphicLayerDescription in ("", None)
    assert second.GraphicLayer == other.GraphicLayer
    assert "GARCIA" not in other.GraphicLayer
    assert len(other.GraphicLayer) <= 16


def test_a_state_without_any_annotation_left(graphics: Program, tmp_path: Path) -> None:
    output = deidentified(state(item(GraphicLayer="ANATOMY", TextObjectSequence=[text("María")])), graphics, tmp_path)
    for annotation in output.get("GraphicAnnotationSequence", []):
        assert "TextObjectSequence" not in annotation


def test_compound_graphics_and_groups(graphics: Program, tmp_path: Path) -> None:
    ruler = item(CompoundGraphicType="RULER", MajorTicksSequence=[item(TickPosition=0.5, TickLabel="García")])
    source = state(item(GraphicLayer="ANATOMY", CompoundGraphicSequence=[ruler]))
    source.GraphicGroupSequence = [
        item(GraphicGroupID=1, GraphicGroupLabel="Etxebarria", GraphicGroupDescription="lesion García")
    ]
    output = deidentified(source, graphics, tmp_path)
    tick = output.GraphicAnnotationSequence[0].CompoundGraphicSequence[0].MajorTicksSequence[0]
    assert (tick.TickPosition, tick.TickLabel) == (0.5, "")
    (group,) = output.GraphicGroupSequence
    assert (group.GraphicGroupLabel, group.GraphicGroupDescription) == ("", "lesion")


def test_overlays_and_curves_go_that_nobody_looked_at(graphics: Program, tmp_path: Path) -> None:
    source = instance(CT)
    for number, vr, value in (
        (0x60000010, "US", 8), (0x60000011, "US", 8), (0x60000040, "CS", "G"), (0x60000050, "SS", [1, 1]),
        (0x60000100, "US", 1), (0x60000102, "US", 0), (0x60003000, "OW", b"\x01" * 8),
        (0x60004000, "LT", "García"), (0x60000022, "LO", "lesion García"), (0x60001500, "LO", "María"),
        (0x50003000, "OW", b"\x02" * 8), (0x50000005, "US", 2),
    ):  # fmt: skip
        source.add_new(number, vr, value)
    output = deidentified(source, graphics, tmp_path)
    assert 0x60003000 not in output
    assert output[0x60000022].value == "lesion"
    assert 0x60004000 not in output
    assert 0x60001500 not in output
    assert not [element.tag for element in output if element.tag.group == 0x5000]
