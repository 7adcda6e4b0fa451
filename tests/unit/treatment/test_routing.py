"""Routes decide the project; what no route matches is held."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.deliver.folder.settings import FolderSettings
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.errors import ConfigurationError, GatewayError, RuleFailed
from gateway.settings.configuration import Project, Route, Settings
from gateway.treatment.routing import IdentifiedRefused, NoDestination, NoRoute, Router, Sender

ROUTES: tuple[dict[str, Any], ...] = (
    {"project": "chest", "when": "Modality in ['CR', 'DX'] && BodyPartExamined == 'CHEST'"},
    {"project": "mammo", "called_ae": ["MAMMO"]},
    {"project": "large", "when": "present('Rows') && Rows > 1000"},
    {"project": "ward", "source": "ward", "calling_ae": ["US1", "US2"]},
    {"project": "many", "when": "'DERIVED' in ImageType"},
    {"project": "angle", "when": "size(ImageOrientationPatient) == 6 && ImageOrientationPatient[0] > 0.5"},
    {"project": "sender", "when": "source == 'lab' && calling_ae.startsWith('X')"},
)


def _settings(*routes: dict[str, Any]) -> tuple[Settings, dict[str, Project]]:
    projects = {str(route["project"]): Project(destinations=("archive",)) for route in routes}
    settings = Settings.model_construct(routes=tuple(Route.model_construct(**_whole(route)) for route in routes))
    return settings, projects


def _whole(route: dict[str, Any]) -> dict[str, Any]:
    return {"source": None, "called_ae": (), "calling_ae": (), "when": None, **route}


def _project(
    tmp_path: Path,
    sender: Sender,
    *,
    routes: Sequence[dict[str, Any]] = ROUTES,
    patch: tuple[bytes, bytes] = (b"", b""),
    **values: Any,
) -> str:
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    for keyword, value in values.items():
        setattr(source, keyword, value)
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = tmp_path / "in.dcm"
    source.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace(*patch) if patch[0] else path.read_bytes())
    settings, projects = _settings(*routes)
    with open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=1) as instance:
        return Router(settings, projects).project(sender, instance)


@pytest.mark.parametrize(
    ("sender", "values", "expected"),
    [
        # a condition on two elements
        (Sender("", "", ""), {"Modality": "DX", "BodyPartExamined": "CHEST"}, "chest"),
        # the first match decides, whatever a later one says
        (Sender("", "", "MAMMO"), {"Modality": "CR", "BodyPartExamined": "CHEST"}, "chest"),
        (Sender("", "", "MAMMO"), {"Modality": "MG"}, "mammo"),
        # a binary number
        (Sender("", "", ""), {"Rows": 2048}, "large"),
        # every condition of a route must hold
        (Sender("ward", "US2", ""), {}, "ward"),
        # several values
        (Sender("", "", ""), {"ImageType": ["DERIVED", "SECONDARY"]}, "many"),
        (Sender("", "", ""), {"ImageType": ["ORIGINAL"], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, "angle"),
        # the association's own names
        (Sender("lab", "XA1", ""), {}, "sender"),
    ],
)
def test_the_first_matching_route_decides(
    tmp_path: Path, sender: Sender, values: dict[str, Any], expected: str
) -> None:
    assert _project(tmp_path, sender, **values) == expected


def test_without_a_match_the_instance_is_held(tmp_path: Path) -> None:
    with pytest.raises(NoRoute, match="source ward, called AE title GATEWAY"):
        _project(tmp_path, Sender("ward", "CT1", "GATEWAY"))


def test_identified_instances_go_where_they_are_accepted(tmp_path: Path) -> None:
    """All destinations of an instance must accept them, in either spelling of the key; others are no matter."""
    accepting: tuple[dict[str, Any], ...] = ({"accepts-identified": True}, {"accepts_identified": True}, {})
    folders: dict[str, Any] = {
        f"to-{number}": FolderSettings.model_validate({"type": "folder", "path": str(tmp_path), **keys})
        for number, keys in enumerate(accepting)
    }
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    chosen = {"accepted": ("to-0", "to-1"), "refused": ("to-0", "to-2")}
    projects = {name: Project(profile="basic", destinations=names) for name, names in chosen.items()}
    settings = Settings.model_construct(
        projects=projects,
        destinations=folders,
        routes=(),
    )
    router = Router(settings, projects)
    sender = Sender("", "", "")
    with open_instance(tmp_path / "one.dcm", work=tmp_path, limits=Limits(), max_reencode_bytes=1000) as instance:
        assert router.destinations("accepted", sender, instance, identified=True) == ("to-0", "to-1")
        assert router.destinations("refused", sender, instance) == ("to-0", "to-2")
        with pytest.raises(IdentifiedRefused, match="destination to-2"):
            router.destinations("refused", sender, instance, identified=True)


def test_a_condition_that_cannot_be_decided_holds(tmp_path: Path) -> None:
    # Rows is missing, and empty text has no order with numbers.
    with pytest.raises(RuleFailed, match=r"routes\[0\]\.when"):
        _project(tmp_path, Sender("", "", ""), routes=[{"project": "large", "when": "Rows > 1000"}])


def test_a_value_that_does_not_fit_holds(tmp_path: Path) -> None:
    with pytest.raises(RuleFailed, match="SeriesNumber"):
        _project(
            tmp_path,
            Sender("", "", ""),
            routes=[{"project": "a", "when": "SeriesNumber == 1"}],
            patch=(b"1009", b"1e09"),
            SeriesNumber="1009",
        )


def test_the_only_project_needs_no_route(tmp_path: Path) -> None:
    path = tmp_path / "in.dcm"
    path.write_bytes(b"")
    settings = Settings.model_construct(routes=())
    router = Router(settings, {"only": object()})
    assert router.project(Sender("", "", ""), None) == "only"  # type: ignore[arg-type]


def test_a_wrong_condition_is_an_error_at_start() -> None:
    settings, projects = _settings({"project": "a", "when": "Modalty == 'CT'"})
    with pytest.raises(GatewayError, match=r"routes\[0\]\.when.*Modality") as caught:
        Router(settings, projects)
    assert isinstance(caught.value, ConfigurationError)


def _destinations(tmp_path: Path, sender: Sender, *whens: str | None, **values: Any) -> tuple[str, ...]:
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    for keyword, value in values.items():
        setattr(source, keyword, value)
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = tmp_path / "in.dcm"
    source.save_as(path, enforce_file_format=True)
    names = [f"to-{number}" for number in range(len(whens))]
    project = Project(destinations=tuple(names))
    settings = Settings.model_construct(
        routes=(),
        destinations={
            name: FolderSettings(type="folder", path=tmp_path, when=when)
            for name, when in zip(names, whens, strict=True)
        },
        projects={"only": project},
    )
    with open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=1) as instance:
        return Router(settings, settings.projects).destinations("only", sender, instance)


@pytest.mark.parametrize(
    ("whens", "expected"),
    [
        # without conditions every destination, in the project's order
        ((None, None), ("to-0", "to-1")),
        # each condition decides for itself; the first match does not end it
        (("Modality == 'CT'", None, "Rows > 100", "Modality == 'MR'"), ("to-0", "to-1", "to-2")),
        # who sent it counts as well
        (("calling_ae == 'PACS'", "source == 'ward'"), ("to-0",)),
    ],
)
def test_conditions_choose_among_the_destinations(
    tmp_path: Path, whens: tuple[str | None, ...], expected: tuple[str, ...]
) -> None:
    assert _destinations(tmp_path, Sender("", "PACS", ""), *whens, Modality="CT", Rows=512) == expected


def test_what_no_destination_takes_is_an_error_of_the_instance(tmp_path: Path) -> None:
    with pytest.raises(NoDestination, match="project only"):
        _destinations(tmp_path, Sender("", "", ""), "Modality == 'MR'", "Rows > 600", Modality="CT", Rows=512)


def test_a_condition_that_cannot_be_decided_holds_the_instance(tmp_path: Path) -> None:
    # Rows is missing and reads as empty text: neither yes nor no.
    with pytest.raises(RuleFailed):
        _destinations(tmp_path, Sender("", "", ""), None, "Rows > 600", Modality="CT")


def test_a_condition_with_an_error_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"destinations\.to-0\.when"):
        _destinations(tmp_path, Sender("", "", ""), "Modalty == 'CT'")
