"""The command ``gateway samples``: the acceptance test of an installation."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from gateway.deliver.folder.settings import FolderSettings
from gateway.errors import ConfigurationError
from gateway.printing import terminal
from gateway.samples.arrival import Archive, DicomWebArchive, FolderArchive
from gateway.samples.sample_check import check, print_report
from gateway.samples.sample_study import generate
from gateway.samples.send import SendReport, send
from gateway.settings.configuration import Settings, load_settings

__all__ = ["Run", "run_samples"]

_DONE: Final = 0
_FAILED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to send where, and where to look for it.

    Parameters
    ----------
    host
        where the gateway listens.
    port
        its DICOM port; by default that of the gateway's own configuration.
    called_ae
        its application entity title; by default that of its configuration.
    calling_ae
        ours.
    studies
        how many; by default one of each kind.
    seed
        decides every value; each run has UIDs of its own all the same.
    check
        whether to look in the destination.
    folder
        the destination's folder; by default the only folder destination of the configuration.
    dicomweb
        the base URL of the destination's DICOMweb services, instead of a folder.
    timeout_seconds
        how long to wait for the instances to arrive.
    details
        whether to list every planted identity and not only those found.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    called_ae: str | None = None
    calling_ae: str = "SAMPLES"
    studies: int | None = None
    seed: int = 0
    check: bool = False
    folder: Path | None = None
    dicomweb: str | None = None
    timeout_seconds: float = 120.0
    details: bool = False


def run_samples(run: Run, *, environ: Mapping[str, str] = os.environ, console: Console | None = None) -> int:
    """Generate sample studies, send them and, if asked to, look in the destination for what was planted.

    Parameters
    ----------
    run
        what to do.
    environ
        environment variables that stand above the configuration.
    console
        where to print.

    Returns
    -------
    The exit code: 0 if every instance was accepted and, when looked for, arrived with nothing found in it.

    Raises
    ------
    ConfigurationError
        the configuration is wrong, or does not tell which destination to look into.
    """
    bar = console or Console(file=terminal(sys.stdout))
    console = console or Console()
    run = _completed(run, environ)
    assert run.port is not None
    assert run.called_ae is not None
    run_id = secrets.token_hex(4).upper()
    samples = generate(run.seed, run_id, studies=run.studies)
    report = send(
        samples, host=run.host, port=run.port, calling_ae=run.calling_ae, called_ae=run.called_ae, console=bar
    )
    _print_sent(report, console, run_id=run_id, peer=f"{run.called_ae} at {run.host}:{run.port}")
    if not run.check:
        return _FAILED if report.refused else _DONE
    with bar.status("Waiting for the instances to arrive"):
        result = check(report.taken, _archive(run), run_id=run_id, timeout_seconds=run.timeout_seconds)
    print_report(result, console, details=run.details)
    return _DONE if result.clean and not report.refused else _FAILED


def _completed(run: Run, environ: Mapping[str, str]) -> Run:
    """The run with the configuration's values where nothing was said."""
    if run.folder is not None and run.dicomweb is not None:
        raise ConfigurationError(place="--dicomweb", problem="a folder was given as well: look in one of them")
    which = run.check and run.folder is None and run.dicomweb is None
    if run.port is not None and run.called_ae is not None and not which:
        return run
    settings = load_settings(None, environ)
    return replace(
        run,
        port=settings.dicom.port if run.port is None else run.port,
        called_ae=settings.dicom.ae_title if run.called_ae is None else run.called_ae,
        folder=_only_folder(settings) if which else run.folder,
    )


def _archive(run: Run) -> Archive:
    if run.dicomweb is not None:
        return DicomWebArchive(run.dicomweb)
    assert run.folder is not None
    return FolderArchive(run.folder)


def _only_folder(settings: Settings) -> Path:
    folders = [one.path for one in settings.destinations.values() if isinstance(one, FolderSettings)]
    if len(folders) != 1:
        problem = f"the configuration has {len(folders)} folder destinations: say --folder or --dicomweb"
        raise ConfigurationError(place="--check", problem=problem)
    return folders[0]


def _print_sent(report: SendReport, console: Console, *, run_id: str, peer: str) -> None:
    studies = len({one.sample.study for one in report.sent})
    taken = f"{len(report.taken)} of {len(report.sent)} instances of {studies} studies"
    console.print(Text(f"Run {run_id}: {taken} accepted by {peer}."), soft_wrap=True)
    for one in report.refused:
        reason = one.problem or f"status 0x{one.status:04X}"
        console.print(Text(f"  {one.sample.number} {one.sample.title}: {reason}", "red"), soft_wrap=True)
