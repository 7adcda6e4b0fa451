"""``gateway deid``: the gateway's engine on files and folders."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gateway.cli.shared_options import ConfigFile
from gateway.errors import ConfigurationError
from gateway.printing import cell, terminal
from gateway.settings.configuration import Settings, load_settings

if TYPE_CHECKING:
    from gateway.service.offline import OfflineResult


def deid(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File, directory or archive to read.", exists=True)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Directory to write; created if missing.")],
    *,
    profile: Annotated[str | None, typer.Option(help="Profile name or file; by default the project's.")] = None,
    project: Annotated[str | None, typer.Option(help="Project whose secret keys the pseudonyms.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = os.cpu_count() or 1,
    keep_names: Annotated[
        bool,
        typer.Option("--keep-names", help="Mirror the relative paths of IN, which must then hold no identity."),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what became of every file, one line of CSV each.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """De-identify files and verify the result.

    Folders, and zip and tar archives in them, are walked. What a rule of the profile rejects is not written. Exit code
    0 only if nothing was held.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from gateway.custody.secret import project_secret
    from gateway.service.export_folder import handed_over
    from gateway.service.offline import OfflineResult, OfflineTask, deidentify_files

    settings = load_settings(config, os.environ)
    name = project or _only_project(settings)
    if target.resolve() == source.resolve() or source.resolve() in target.resolve().parents:
        raise ConfigurationError(place=str(target), problem="the output may not be inside the input")
    console = Console(file=terminal(sys.stderr))
    results: list[OfflineResult] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    root = source if source.is_dir() else source.parent
    for left in sorted((*target.glob(".unpacked-*"), *target.glob(".work-*"))):
        sys.stderr.write(f"{left}: of a run that was killed, or is at work; it may hold originals\n")
    with (
        ended_in_order(),
        handed_over(source, target) as handed,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        task = OfflineTask(
            profile=profile or settings.projects[name].profile,
            secret=project_secret(settings, name),
            output=target,
            keep_names=keep_names,
            settings=settings,
            project=name,
            walks=handed.walks,
        )
        bar = progress.add_task("de-identifying", total=len(handed.files))
        shown = {path: root / relative for path, relative in handed.files}
        results += [OfflineResult(root / path, "held", "archive", reason) for path, reason in handed.unusable]
        for result in deidentify_files(task, handed.files, jobs=jobs):
            results.append(replace(result, path=shown[result.path]))
            progress.advance(bar)
    if report is not None:
        _write_report(report, results)
    _print_summary(Console(), results, source)
    if any(result.state == "held" for result in results):
        raise typer.Exit(1)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Within the block, to be told to end (SIGTERM, SIGHUP) is an exit: what was unpacked goes before."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _only_project(settings: Settings) -> str:
    if len(settings.projects) > 1:
        raise ConfigurationError(
            place="--project", problem=f"name one of the projects {', '.join(sorted(settings.projects))}"
        )
    return next(iter(settings.projects))


def _print_summary(console: Console, results: list[OfflineResult], source: Path) -> None:
    held = sorted((result for result in results if result.state == "held"), key=lambda result: result.path)
    rejected = sorted((result for result in results if result.state == "rejected"), key=lambda result: result.path)
    ignored = sum(result.state == "ignored" for result in results)
    for result in (*rejected, *held):
        path = result.path.name if source.is_file() else result.path.relative_to(source)
        console.print(f"{result.state} {path}: {result.detail}", highlight=False, markup=False, soft_wrap=True)
    reasons = ", ".join(f"{count} {code}" for code, count in sorted(Counter(one.code for one in held).items()))
    size = sum(result.size for result in results)
    console.print(
        f"{len(results)} files: {len(results) - len(held) - len(rejected) - ignored} de-identified ({size:,} bytes), "
        + (f"{len(rejected)} rejected, " if rejected else "")
        + (f"{ignored} ignored, " if ignored else "")
        + f"{len(held)} held"
        + (f" ({reasons})" if held else ""),
        highlight=False,
    )


def _write_report(path: Path, results: list[OfflineResult]) -> None:
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "state", "code", "detail", "bytes"))
        for result in sorted(results, key=lambda result: result.path):
            writer.writerow((cell(str(result.path)), result.state, result.code, cell(result.detail), result.size))
