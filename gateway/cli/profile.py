"""``gateway profile``: read, check, explain, compare, test and document profiles."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from gateway.cli import profile_new
from gateway.cli.shared_options import ConfigFile
from gateway.cli.tables import print_fields, print_table, say
from gateway.dicom.tag import PIXEL_DATA
from gateway.errors import ConfigurationError, ProfileError
from gateway.profile import Program, shipped_profiles
from gateway.profile.language import ProfileFile
from gateway.profile.load import Loaded, load_layers
from gateway.profile.stamps import is_stamp
from gateway.profile.wording import file_name
from gateway.sections.yamlfile import read_yaml, suggestion
from gateway.settings.configuration import Settings, load_settings

if TYPE_CHECKING:
    from gateway.profile.check import Finding
    from gateway.rehearsal.comparison import ChangedSample

profile = typer.Typer(help="Begin, read, check, explain, compare and test profiles.", no_args_is_help=True)
profile.command("new")(profile_new.new)
profile.command("init-site")(profile_new.init_site)

ProfileName: TypeAlias = Annotated[
    str, typer.Argument(metavar="PROFILE", help="Name of a profile, or its file.", show_default=False)
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_FORMATS: Final = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown"}


class Format(StrEnum):
    """Form of a report."""

    HTML = "html"
    MARKDOWN = "markdown"


@profile.command("list")
def list_profiles(*, as_json: Json = False, config: ConfigFile = None) -> None:
    """List the profiles that are known by name: those of the gateway and those of the configuration."""
    rows = []
    for directory in dict.fromkeys((*_settings(config).profiles, shipped_profiles())):
        for path in sorted(directory.glob("*.yaml")):
            model = read_yaml(path, ProfileFile, error=ProfileError).model
            rows.append((model.profile, model.version, model.describes))
    if as_json:
        _print_json([dict(zip(("profile", "version", "describes"), row, strict=True)) for row in rows])
        return
    print_table(("profile", "version", "describes"), rows)


@profile.command()
def check(
    names: Annotated[list[str], typer.Argument(metavar="PROFILE...", help="Names or files.", show_default=False)],
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if there are warnings.")] = False,
    layer: Annotated[
        bool, typer.Option("--layer", help="Check a file that only other profiles use, on top of basic.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Find errors and what is hardly meant. Exit code 2 if a profile has an error.

    A profile is also tried: its tests run, and it treats the smallest instance of each common kind. What would hold
    every instance is an error.
    """
    from gateway.pixels.looking import Fate, in_lines, kinds
    from gateway.profile.check_mosaic import lost_slices
    from gateway.rehearsal.trial import check_by_trial

    search = _search(config)
    errors = warnings = 0
    for name in names:
        checked = check_by_trial(name, search=search, layer=layer)
        passing: tuple[str, ...] = ()
        if checked.program is not None:
            passing = in_lines(kind for kind in kinds(checked.program) if kind.fate is Fate.UNLOOKED)
        _print_findings(checked.errors)
        for warning in checked.warnings:
            _print_finding(warning, kind="warning: ")
        if passing:
            say(
                'warning: no rule looks for text in images of these kinds ("clean-pixel-data" does):',
                error=True,
            )
            for line in passing:
                say(f"    {line}", error=True)
        count = len(checked.warnings) + bool(passing)
        errors, warnings = errors + len(checked.errors), warnings + count
        if checked.program is not None:
            waiting = in_lines(kind for kind in kinds(checked.program) if kind.fate is Fate.HELD)
            if waiting:
                say("note: images of these kinds are held for a person:", error=True)
                for line in waiting:
                    say(f"    {line}", error=True)
            mosaics = "" if checked.as_layer else lost_slices(checked.program)
            if mosaics and mosaics not in [warning.text for warning in checked.warnings]:
                say(f"note: {mosaics}", error=True)
            as_layer = ", as a layer over basic" if checked.as_layer else ""
            say(f"{name}: correct{as_layer}" + (f", {_count(count, 'warning')}" if count else ""))
        elif len(checked.errors) > 1:
            say(f"{name}: {_count(len(checked.errors), 'error')}", error=True)
    if errors:
        raise typer.Exit(2)
    if warnings and strict:
        raise typer.Exit(1)


@profile.command()
def show(name: ProfileName, *, as_json: Json = False, config: ConfigFile = None) -> None:
    """Show what a profile is made of, and how many elements it treats in which way."""
    from gateway.profile.summary import summarise

    summary = summarise(_load(name, _search(config)))
    if as_json:
        _print_json(asdict(summary))
        return
    print_fields(
        (
            ("profile", f"{summary.profile} {summary.version}"),
            ("describes", summary.describes),
            ("digest", summary.digest),
            ("layers", ", ".join(summary.layers)),
            ("codes", "; ".join(summary.codes)),
            ("patient", summary.patient),
            ("dates", summary.dates),
            ("times", summary.times),
            ("unsure", summary.when_unsure),
            ("words kept", str(summary.vocabulary or "")),
            ("tests", str(summary.tests or "none")),
        )
    )
    if summary.accept:
        say()
        print_table(("instances for which", "", "because"), summary.accept)
    say()
    print_table(("elements", "action", ""), ((str(count), verb, words) for verb, words, count in summary.verbs))
    if summary.pixels:
        say()
        print_table(("pixel data", "condition", "layer", "because"), summary.pixels)
    if summary.rules:
        say()
        print_table(("own rule", "line", "what becomes of it", "condition", "because"), summary.rules)


@profile.command()
def explain(
    name: ProfileName,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[ELEMENT|FILE]",
            help="Keyword, tag, private element with its creator, or path; or a DICOM file. All elements without.",
            show_default=False,
        ),
    ] = None,
    *,
    sop_class: Annotated[
        str | None, typer.Option(help="SOP class (UID or keyword) whose IOD decides where the Type matters.")
    ] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Of a file, only elements that change.")] = False,
    project: Annotated[
        str | None,
        typer.Option(help="Project whose secret computes pseudonyms; a demonstration secret without it."),
    ] = None,
    source: Annotated[str, typer.Option(help="Source, for conditions.")] = "",
    calling_ae: Annotated[str, typer.Option(help="Calling AE title, for conditions.")] = "",
    called_ae: Annotated[str, typer.Option(help="Called AE title, for conditions.")] = "",
    route: Annotated[str, typer.Option(help="Route, for conditions.")] = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Explain what happens to an element, or to every element of a file, and why.

    Of a file, values are shown as they are: keep the output as well protected as the file.
    """
    program = _load(name, _search(config)).program
    if what is None:
        _explain_all(program, as_json=as_json)
    elif Path(what).is_file():
        sender = {"source": source, "calling_ae": calling_ae, "called_ae": called_ae, "route": route}
        key = _key(project, config)
        _explain_file(program, Path(what), key=key, sender=sender, changed=changed, as_json=as_json)
    elif (os.sep in what and Path(what).suffix) or what.lower().endswith((".dcm", ".dicom", ".ima")):
        raise ConfigurationError(place="FILE", problem=f"there is no file {what}")
    else:
        _explain_element(program, what, sop_class=_sop_class(sop_class), as_json=as_json)


@profile.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="Name or file of a profile.", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="B", help="Name or file of another.", show_default=False)],
    *,
    samples: Annotated[bool, typer.Option(help="Compare what becomes of the sample studies, too.")] = True,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Compare what two profiles do. Exit code 1 if they differ."""
    from gateway.profile.diff import compare

    search = _search(config)
    one, other = _load(before, search).program, _load(after, search).program
    differences = compare(one, other)
    count, treated = _samples(one, other) if samples else (0, ())
    if as_json:
        _print_json({**asdict(differences), "samples": [asdict(sample) for sample in treated]})
    else:
        for title, changes in (
            ("setting", differences.settings),
            ("instances", differences.accept),
            ("element", differences.elements),
            ("elements", differences.places),
        ):
            if changes:
                print_table(
                    (title, "tag", before, after),
                    ((change.name, change.tag, change.before or "-", change.after or "-") for change in changes),
                )
                say()
        for sample in treated:
            say(f"sample {sample.title}: {sample.before}" + _becomes(sample.before, sample.after))
            print_table(
                ("  element", before, after),
                ((f"  {one.name}", one.before or "-", one.after or "-") for one in sample.elements),
            )
            say()
        total = (
            len(differences.settings) + len(differences.accept) + len(differences.elements) + len(differences.places)
        )
        tried = f"; {len(treated)} of {_count(count, 'sample')} come out differently" if samples else ""
        say(f"{_count(total, 'difference')}{tried}" if total or treated else f"no difference{tried}")
    if differences or treated:
        raise typer.Exit(1)


@profile.command("test")
def run_profile_tests(
    names: Annotated[list[str], typer.Argument(metavar="PROFILE...", help="Names or files.", show_default=False)],
    *,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Run a profile's own tests through the real engine and verifier. Exit code 1 if one fails."""
    from gateway.rehearsal.profile_tests import run_tests

    search = _search(config)
    failed, documents = False, []
    for name in names:
        trial = run_tests(_load(name, search).program)
        failed = failed or not trial.passed
        if as_json:
            documents.append(
                {
                    "profile": name,
                    "tests": [
                        {"name": one.test.name, "outcome": one.outcome, "reason": one.reason, "problems": one.problems}
                        for one in trial.verdicts
                    ],
                    "unused rules": [str(rule) for rule in trial.unused],
                }
            )
            continue
        for verdict in trial.verdicts:
            say(f"{'passed' if verdict.passed else 'FAILED'}  {verdict.test.name}")
            for problem in verdict.problems:
                say(f"        {problem}")
        passed = sum(verdict.passed for verdict in trial.verdicts)
        used = len(trial.rules) - len(trial.unused)
        tests = f"{passed} of {_count(len(trial.verdicts), 'test')} passed" if trial.verdicts else "no tests"
        say(f"{name}: {tests}")
        if not trial.verdicts:
            continue
        if trial.rules:
            say(f"{used} of {_count(len(trial.rules), 'rule')} of its own applied in a test")
        for rule in trial.unused:
            say(f"  in no test: {rule}")
    if as_json:
        _print_json(documents)
    if failed:
        raise typer.Exit(1)


@profile.command()
def report(
    name: ProfileName,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write; standard output without.")
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="By default what the file's name says, otherwise Markdown.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Write the profile as a document for a data protection impact assessment."""
    from gateway.rehearsal.report import report as document_of

    suffix = output.suffix.lower() if output is not None else ""
    wanted = form or Format(_FORMATS.get(suffix, "markdown"))
    document = document_of(_load(name, _search(config)))
    text = document.html() if wanted is Format.HTML else document.markdown()
    if output is None:
        sys.stdout.write(text)
        return
    output.write_text(text, encoding="utf-8")
    say(f"written: {output}")


@profile.command("import-ctp")
def import_ctp(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new profile.", show_default=False)],
    *,
    anonymizer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="DicomAnonymizer script, XML or properties.")
    ] = None,
    filter_script: Annotated[Path | None, typer.Option("--filter", metavar="FILE", help="DicomFilter script.")] = None,
    pixels: Annotated[Path | None, typer.Option(metavar="FILE", help="DicomPixelAnonymizer script.")] = None,
    lookup: Annotated[Path | None, typer.Option(metavar="FILE", help="Look-up table of the anonymizer.")] = None,
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the profile and its tables.")
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    as_json: Json = False,
) -> None:
    """Make a profile of scripts of RSNA CTP, and list what could not be carried over and why.

    The tables hold identity, as the look-up table does: only the account that imports can read them.
    """
    from gateway.profile.importers.ctp import import_ctp as import_scripts
    from gateway.rehearsal.trial import check_by_trial

    imported = import_scripts(anonymizer, filter_script, lookup, name, pixels=pixels)
    contents = {f"{name}.yaml": imported.profile_text, **imported.tables}
    existing = [file for file in contents if (folder / file).exists()]
    if existing and not force:
        raise ConfigurationError(place=str(folder), problem=f"{', '.join(existing)}: there already; --force overwrites")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in contents.items():
        _write(folder / file, text, private=file in imported.tables)
    checked = check_by_trial(folder / f"{name}.yaml", search=[shipped_profiles()])
    if as_json:
        lost = [asdict(one) for one in imported.not_carried]
        findings = {"errors": list(map(str, checked.errors)), "warnings": list(map(str, checked.warnings))}
        _print_json({"files": [str(folder / file) for file in contents], "not carried over": lost, "check": findings})
        raise typer.Exit(2 if checked.errors else 0)
    for file in contents:
        say(f"written: {folder / file}")
    if imported.not_carried:
        say()
        say(f"{_count(len(imported.not_carried), 'line')} of the scripts not carried over as written:")
    for one in imported.not_carried:
        say(f"{one.place}: {one.script}")
        print_fields((("why", one.why), ("instead", one.what_instead)), indent=4)
    for error in checked.errors:
        _print_finding(error)
    if checked.errors:
        raise typer.Exit(2)
    count = f", {_count(len(checked.warnings), 'warning')}: gateway profile check" if checked.warnings else ""
    say(f"{name}: correct{count}")


def _write(path: Path, text: str, *, private: bool) -> None:
    """Write a file; one with identity is readable by its owner alone from the beginning (promise P9)."""
    path.unlink(missing_ok=True)
    mode = 0o600 if private else 0o644
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)


def _settings(config: Path | None) -> Settings:
    return load_settings(config, os.environ)


def _search(config: Path | None) -> list[Path]:
    return [*_settings(config).profiles, shipped_profiles()]


def _load(name: str, search: list[Path]) -> Loaded:
    """A profile as named; a layer alone, such as an option of PS3.15, on top of the basic profile."""
    return load_layers(name, search=search, beneath="basic")


def _key(project: str | None, config: Path | None) -> Any:
    from gateway.custody.secret import project_secret
    from gateway.deid import ProjectKey
    from gateway.rehearsal.dry_run import DEMONSTRATION_KEY

    if project is None:
        return DEMONSTRATION_KEY
    settings = _settings(config)
    if project not in settings.projects:
        known = ", ".join(sorted(settings.projects))
        raise ConfigurationError(place="--project", problem=f"{project} is no project; there are {known}")
    return ProjectKey(project_secret(settings, project, create=False))


def _sop_class(text: str | None) -> str:
    from pydicom._uid_dict import UID_dictionary

    if text is None or text in UID_dictionary:
        return text or ""
    keywords = {row[4]: uid for uid, row in UID_dictionary.items() if row[1] == "SOP Class" and row[4]}
    sop_class_uid = keywords.get(text) or keywords.get(f"{text}Storage")
    if sop_class_uid is None:
        raise ConfigurationError(place="--sop-class", problem=f'"{text}" is no SOP class{suggestion(text, keywords)}')
    return sop_class_uid


def _explain_element(program: Program, text: str, *, sop_class: str, as_json: bool) -> None:
    from gateway.profile.element import parse_element
    from gateway.profile.explain import explain as explain_element

    try:
        element = parse_element(text)
    except ValueError as failed:
        raise ConfigurationError(place="ELEMENT", problem=str(failed)) from None
    explanation = explain_element(program, element, sop_class_uid=sop_class)
    if as_json:
        _print_json(asdict(explanation))
        return
    title = f"{explanation.element} {explanation.tag}" if explanation.element != explanation.tag else explanation.tag
    details = ", ".join(
        part
        for part in (
            explanation.title,
            f"VR {explanation.vr}" if explanation.vr else "",
            _type(explanation.element_type),
        )
        if part
    )
    say(f"{title}: {details}" if details else title)
    if is_stamp(element.path, element.tag):
        say()
        say("  is written by the gateway, whatever a rule says: it tells what was done to the instance")
        return
    for number, reason in enumerate(explanation.reasons):
        say()
        condition = f"if {reason.when}: " if reason.when else "otherwise " if number else ""
        say(f"  {condition}{reason.words}")
        if reason.types:
            print_fields(reason.types, indent=4)
        print_fields(
            (
                ("action", reason.verb),
                ("layer", reason.layer),
                ("rule", reason.place),
                ("clause", reason.clause),
                ("because", reason.because),
            ),
            indent=4,
        )
    if element.tag == PIXEL_DATA and not element.path:
        _say_caution(program)


def _say_caution(program: Program) -> None:
    """Which images a person sees first, and which nobody looks at: no rule for an element tells that."""
    from gateway.pixels.looking import Fate, in_lines, kinds

    for fate, words in (
        (Fate.HELD, "are held for a person"),
        (Fate.UNLOOKED, "pass and nobody looks for text in them"),
    ):
        lines = in_lines(kind for kind in kinds(program) if kind.fate is fate)
        if lines:
            say()
            say(f"  images of these kinds {words}:")
            for line in lines:
                say(f"    {line}")


def _type(element_type: str) -> str:
    return f"Type {element_type}" if element_type else ""


def _explain_all(program: Program, *, as_json: bool) -> None:
    from gateway.profile.element import ElementName
    from gateway.profile.explain import explain as explain_element

    rows = []
    for tag in sorted({*program.actions, *program.rules}):
        explanation = explain_element(program, ElementName((), tag))
        rows += [(explanation.element, explanation.tag, one) for one in explanation.reasons]
    if as_json:
        _print_json([{"element": element, "tag": tag, **asdict(one)} for element, tag, one in rows])
        return
    print_table(
        ("element", "tag", "action", "condition", "layer", "clause", "rule", "because"),
        (
            (element, tag, one.verb, one.when, one.layer, one.clause, one.place, one.because)
            for element, tag, one in rows
        ),
    )


def _explain_file(
    program: Program, path: Path, *, key: Any, sender: dict[str, str], changed: bool, as_json: bool
) -> None:
    from gateway.rehearsal.preview import preview

    previewed = preview(program, path, key=key, sender=sender)
    rows = [row for row in previewed.rows if row.changed or not changed]
    if as_json:
        content = {"state": previewed.state, "reason": previewed.reason, "rule": previewed.place}
        _print_json({**content, "elements": [asdict(row) for row in rows]})
    elif not previewed.rows:
        say(f"{path.name}: {previewed.state}, {previewed.reason}")
        say("It did not come to its elements. What becomes of each tells explain with the element's name.")
        if previewed.place:
            print_fields((("rule", previewed.place),), indent=4)
    else:
        print_table(
            ("element", "before", "after", "action", "layer", "clause", "rule", "because"),
            (
                (
                    row.element,
                    "-" if row.before is None else row.before,
                    "-" if row.after is None else row.after,
                    row.verb,
                    row.layer,
                    row.clause,
                    row.place,
                    row.because,
                )
                for row in rows
            ),
        )
        say()
        say(f"{path.name}: {previewed.state}" + (f", {previewed.reason}" if previewed.reason else ""))
    if previewed.state == "held":
        raise typer.Exit(1)


def _print_findings(findings: Iterable[Finding]) -> None:
    """What is wrong, line by line of the file: each line once, with a mark below every column."""
    for _, group in groupby(findings, key=lambda one: (one.file, one.line)):
        together = list(group)
        for finding in together:
            _print_finding(finding)
        lines = [finding.excerpt.partition("\n")[0] for finding in together]
        if lines[0].strip():
            columns = {finding.column for finding in together}
            say(f"    {lines[0]}", error=True)
            say(f"    {''.join('^' if place in columns else ' ' for place in range(1, max(columns) + 1))}", error=True)


def _print_finding(finding: Finding, *, kind: str = "") -> None:
    """Place and text."""
    column = f":{finding.column}" if finding.column else ""
    place = f"{file_name(finding.file)}:{finding.line}{column}: " if finding.file else ""
    say(f"{place}{kind}{finding.text}", error=True)


def _samples(before: Program, after: Program) -> tuple[int, tuple[ChangedSample, ...]]:
    from gateway.rehearsal.comparison import changed_samples

    return changed_samples(before, after)


def _becomes(before: str, after: str) -> str:
    return "" if before == after else f", then {after}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _print_json(content: Any) -> None:
    say(json.dumps(content, indent=2, ensure_ascii=False, default=str))
