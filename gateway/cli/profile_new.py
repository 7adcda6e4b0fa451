"""``gateway profile new`` and ``init-site``: first profiles, by questions or by options."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway.cli.tables import say
from gateway.errors import ConfigurationError
from gateway.profile import shipped_profiles
from gateway.profile.drafting import DATES, IDS, KEEPABLE, MODALITIES, Draft, site_files
from gateway.profile.language import ProfileFile
from gateway.sections.yamlfile import load_yaml, suggestion

__all__ = ["init_site", "new"]

Folder = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write into.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist, but for tables and lists of words.")]
_DEFAULT_PREFIX: Final = "SUBJ"
#: Files that people fill: tables of pseudonyms, lists of words.
_FILLED: Final = frozenset((".csv", ".txt"))


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new profile.", show_default=False)],
    *,
    modality: Annotated[
        list[str] | None, typer.Option(help="Modality to take, such as CT; several times for several; all without.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help=f"What stays or is cleaned, several times: {', '.join(KEEPABLE)}.")
    ] = None,
    dates: Annotated[str | None, typer.Option(help=f"What becomes of dates: {', '.join(DATES)}.")] = None,
    ids: Annotated[str | None, typer.Option(help=f"Where pseudonyms come from: {', '.join(IDS)}.")] = None,
    prefix: Annotated[str | None, typer.Option(help="What pseudonyms begin with.")] = None,
    describes: Annotated[str, typer.Option(help="What the profile is for, in one line.")] = "",
    folder: Folder = Path(),
    force: Force = False,
) -> None:
    """Write a first profile, with comments and tests.

    What no option tells is asked, at a terminal; elsewhere the strictest is taken.
    """
    _require_name(name)
    asks = sys.stdin.isatty()
    if modality is None:
        modality = _asked_list("Modalities to take, such as CT, MR (all without)", MODALITIES) if asks else []
    if option is None:
        option = _asked_options() if asks else []
    if dates is None:
        dates = _asked("What becomes of dates", DATES) if asks else next(iter(DATES))
    if ids is None:
        ids = _asked("Where pseudonyms come from", IDS) if asks else next(iter(IDS))
    if prefix is None:
        prefix = str(typer.prompt("What pseudonyms begin with", default=_DEFAULT_PREFIX)) if asks else _DEFAULT_PREFIX
    _require("--option", option, KEEPABLE)
    _require("--dates", [dates], DATES)
    _require("--ids", [ids], IDS)
    for one in modality:
        if not one.isalnum() or not one.isupper() or len(one) > 16:
            raise ConfigurationError(place="--modality", problem=f'"{one}" is no modality such as CT or MR')
    if not prefix.isascii() or not prefix.isalnum() or len(prefix) > 16:
        raise ConfigurationError(place="--prefix", problem="a prefix is at most 16 letters and digits")
    answers: dict[str, Any] = {"dates": dates, "ids": ids}
    draft = Draft(name=name, describes=describes, modalities=modality, options=option, prefix=prefix, **answers)
    _write_all(draft.files(), folder, force=force)
    say(f"Next: gateway profile check {folder / name}.yaml, then gateway profile test {folder / name}.yaml")


def init_site(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the site.", show_default=False)],
    *,
    folder: Folder = Path(),
    force: Force = False,
) -> None:
    """Write what the profiles of a site have in common: a layer, a list of its words, and a profile that uses them."""
    _require_name(name)
    _write_all(site_files(name), folder, force=force)
    say(f"Next: name the folder in gateway.yaml (profiles: [{folder.resolve()}]), then gateway profile check {name}")


def _require_name(name: str) -> None:
    """Refuse a name that no file of a profile can have, and that of a profile that comes with the gateway."""
    load_yaml(f"profile: {json.dumps(name)}\n", ProfileFile, error=ConfigurationError, name="NAME")
    if (shipped_profiles() / f"{name}.yaml").exists():
        raise ConfigurationError(place="NAME", problem=f'"{name}" is a profile that comes with the gateway')


def _require(place: str, given: Iterable[str], known: Mapping[str, str]) -> None:
    for one in given:
        if one not in known:
            near = suggestion(one, known) or f"; there are {', '.join(known)}"
            raise ConfigurationError(place=place, problem=f'"{one}" is none of them{near}')


def _asked(question: str, answers: Mapping[str, str]) -> str:
    for answer, means in answers.items():
        say(f"  {answer}: {means}")
    first = next(iter(answers))
    while (said := str(typer.prompt(question, default=first)).strip()) not in answers:
        say(f"one of {', '.join(answers)}")
    return said


def _asked_list(question: str, known: Iterable[str]) -> list[str]:
    said = str(typer.prompt(f"{question}: {', '.join(known)}", default="", show_default=False))
    return [one.upper() for one in said.replace(",", " ").split()]


def _asked_options() -> list[str]:
    return [name for name, means in KEEPABLE.items() if typer.confirm(f"{name}: {means}?", default=False)]


def _write_all(contents: Mapping[str, str], folder: Path, *, force: bool) -> None:
    """Write files into a folder; of those that exist, a table is somebody's work and is never overwritten."""
    existing = [file for file in contents if (folder / file).exists()]
    if existing and not force:
        raise ConfigurationError(place=str(folder), problem=f"{', '.join(existing)}: there already; --force overwrites")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in contents.items():
            path = folder / file
            if file in existing and path.suffix in _FILLED:
                say(f"left as it is: {path}")
                continue
            path.write_text(text, encoding="utf-8")
            if path.suffix == ".csv":
                # It will tell who is who (promise P9).
                path.chmod(0o600)
            say(f"written: {path}")
    except OSError as failed:
        raise ConfigurationError(
            place=str(folder), problem=f"it cannot be written into: {failed.strerror or type(failed).__name__}"
        ) from None
