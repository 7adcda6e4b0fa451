"""``gateway samples``: send sample studies and look for what was planted in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def samples(
    *,
    host: Annotated[str, typer.Option(help="Where the gateway listens.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Its DICOM port; by default that of the configuration.")
    ] = None,
    called_ae: Annotated[
        str | None, typer.Option("--called-ae", help="Its AE title; by default that of the configuration.")
    ] = None,
    calling_ae: Annotated[str, typer.Option("--calling-ae", help="Our AE title.")] = "SAMPLES",
    studies: Annotated[int | None, typer.Option(min=1, help="Studies to send; by default one of each kind.")] = None,
    seed: Annotated[int, typer.Option(help="Decides every value.")] = 0,
    check: Annotated[bool, typer.Option(help="Look in the destination for what was planted.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Folder to look in; by default the configuration's only folder destination.")
    ] = None,
    dicomweb: Annotated[str | None, typer.Option(metavar="URL", help="DICOMweb server to look in instead.")] = None,
    timeout_seconds: Annotated[
        float, typer.Option("--timeout", min=1, help="Longest wait for the instances to arrive, in seconds.")
    ] = 120.0,
    details: Annotated[bool, typer.Option("--details", help="List every planted identity.")] = False,
) -> None:
    """Send sample studies with planted identities; with --check, exit code 0 only if all arrived without them."""
    from gateway.samples.command import Run, run_samples

    run = Run(
        host=host,
        port=port,
        called_ae=called_ae,
        calling_ae=calling_ae,
        studies=studies,
        seed=seed,
        check=check,
        folder=folder,
        dicomweb=dicomweb,
        timeout_seconds=timeout_seconds,
        details=details,
    )
    raise typer.Exit(run_samples(run))
