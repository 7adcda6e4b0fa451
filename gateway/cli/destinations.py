"""``gateway destinations``: what is configured, and whether it works."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.shared_options import ConfigFile
from gateway.deliver.destination_settings import DestinationSettings
from gateway.errors import ConfigurationError
from gateway.sections.yamlfile import suggestion
from gateway.settings.configuration import load_settings

if TYPE_CHECKING:
    from gateway.deliver.base import Parcel

destinations = typer.Typer(help="Where instances go.", no_args_is_help=True)


@destinations.command("list")
def list_destinations(config: ConfigFile = None) -> None:
    """List the destinations with the projects that deliver there."""
    settings = load_settings(config, os.environ)
    for name, destination in settings.destinations.items():
        projects = [project for project, one in settings.projects.items() if name in one.destinations]
        typer.echo(f"{name}: {destination.type}, for {', '.join(projects) or 'no project'}")


@destinations.command("test")
def try_destinations(
    names: Annotated[list[str] | None, typer.Argument(help="Names of destinations; all without.")] = None,
    *,
    send: Annotated[
        bool,
        typer.Option("--send", help="Store a generated instance, and remove it again where the protocol allows that."),
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Connect to destinations, authenticate, check, and say in words what is wrong. Exit code 1 if something is."""
    settings = load_settings(config, os.environ)
    for name in names or ():
        if name not in settings.destinations:
            near = suggestion(name, settings.destinations)
            raise ConfigurationError(place="destinations", problem=f'no destination is named "{name}"{near}')
    with TemporaryDirectory(prefix="gateway-test-") as folder:
        parcel = generated_parcel(Path(folder)) if send else None
        works = [_works(name, settings.destinations[name], parcel) for name in names or settings.destinations]
    if not all(works):
        raise typer.Exit(1)


def _works(name: str, settings: DestinationSettings, parcel: Parcel | None) -> bool:
    """Probe one destination and tell what was found."""
    from gateway.deliver.base import Probing
    from gateway.deliver.kinds import build_destination

    destination = build_destination(name, settings)
    works = True
    try:
        if not isinstance(destination, Probing):
            typer.echo(f"{name}: a destination of type {settings.type} cannot be tried out")
            return True
        for check in destination.probe(parcel):
            works = works and check.ok
            typer.echo(f"{name}: {'ok   ' if check.ok else 'WRONG'} {check.text}")
    finally:
        destination.close()
    return works


def generated_parcel(folder: Path) -> Parcel:
    """A secondary capture of eight by eight pixels of nobody, in a file of ``folder``."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    from gateway.deliver.base import Parcel
    from gateway.dicom.segments import FileRange

    instance = Dataset()
    instance.SOPClassUID = SecondaryCaptureImageStorage
    instance.SOPInstanceUID = generate_uid(prefix=None)
    instance.StudyInstanceUID = generate_uid(prefix=None)
    instance.SeriesInstanceUID = generate_uid(prefix=None)
    instance.PatientID = "GATEWAY-TEST"
    instance.PatientName = "GATEWAY-TEST"
    instance.PatientBirthDate = instance.PatientSex = ""
    instance.StudyDate = instance.StudyTime = instance.AccessionNumber = instance.ReferringPhysicianName = ""
    instance.StudyID = "1"
    instance.SeriesNumber = instance.InstanceNumber = 1
    instance.Modality = "OT"
    instance.ConversionType = "SYN"
    instance.StudyDescription = "Test of the gateway's delivery"
    instance.PatientIdentityRemoved = "YES"
    instance.DeidentificationMethod = "generated"
    instance.SamplesPerPixel, instance.PhotometricInterpretation = 1, "MONOCHROME2"
    instance.Rows = instance.Columns = 8
    instance.BitsAllocated = instance.BitsStored = 8
    instance.HighBit, instance.PixelRepresentation = 7, 0
    instance.PixelData = bytes(range(64))
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    encoded = BytesIO()
    instance.save_as(encoded, enforce_file_format=True)
    path = folder / "test.dcm"
    path.write_bytes(encoded.getvalue())
    length = len(encoded.getvalue())
    return Parcel(
        delivery_id=0,
        patient_id=str(instance.PatientID),
        study_uid=instance.StudyInstanceUID,
        series_uid=instance.SeriesInstanceUID,
        sop_uid=instance.SOPInstanceUID,
        sop_class_uid=instance.SOPClassUID,
        transfer_syntax=instance.file_meta.TransferSyntaxUID,
        length=length,
        parts=(FileRange(path, 0, length),),
    )
