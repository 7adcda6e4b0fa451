"""``gateway find`` and ``gateway studies``: why a study has not arrived."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.audit import acting_person
from gateway.cli.choice import Chosen, ProjectName, Since, Source, Until, chosen
from gateway.cli.ledger import opened_ledger
from gateway.cli.shared_options import ConfigFile
from gateway.cli.tables import print_fields, print_table, say
from gateway.custody.original_tokens import KINDS, Originals
from gateway.custody.secret import GATEWAY, project_secret
from gateway.errors import ConfigurationError
from gateway.ledger import InstanceState, Ledger, Selection, StudyFilter, StudyReport
from gateway.service.enquiry import find_new, find_original, next_steps, study_fields, verdict
from gateway.settings.configuration import Settings, load_settings
from gateway.treatment.resources import open_spool

_MOST_SHOWN = 50


def find(
    *,
    original: Annotated[
        bool,
        typer.Option(
            "--original",
            help="By the Patient ID, accession number or UID that the hospital knows it by. It is asked for, or read"
            " from standard input: other accounts of the machine can see what stands on a command line.",
        ),
    ] = False,
    kind: Annotated[str | None, typer.Option("--as", help=f"With --original: only as {', '.join(KINDS)}.")] = None,
    pseudonym: Annotated[str | None, typer.Option(help="By the Patient ID in the outputs.")] = None,
    uid: Annotated[str | None, typer.Option(help="By a Study, Series or SOP Instance UID in the outputs.")] = None,
    association: Annotated[int | None, typer.Option(help="By the number of an association, as the log has it.")] = None,
    source: Source = None,
    project: ProjectName = None,
    since: Since = None,
    until: Until = None,
    fill: Annotated[
        bool,
        typer.Option("--fill", help="Make findable at once what was received before an upgrade made it findable."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per study.")] = False,
    config: ConfigFile = None,
) -> None:
    """Find studies, and say where they are and what leads on. Exit code 0 if all of it arrived or was rejected by a
    rule, 1 if nothing is known of it, 3 if it is under way, 4 if it waits for somebody.
    """
    settings = load_settings(config, os.environ)
    selection = chosen(Chosen(source=source, project=project, since=since, until=until), everything=True)
    by_new = pseudonym is not None or uid is not None or association is not None or selection.is_narrow
    if fill and not original and not by_new:
        with opened_ledger(config) as ledger:
            typer.echo(f"{_originals(settings, ledger).fill()} instances are findable now")
        return
    if original == by_new:
        raise ConfigurationError(
            place="find", problem="say --original, or by what: --pseudonym, --uid, --association, --source, --since"
        )
    if kind is not None and not original:
        raise ConfigurationError(place="--as", problem="it goes with --original")
    if kind is not None and kind not in KINDS:
        raise ConfigurationError(place="--as", problem=f"the kinds of identifiers are {', '.join(KINDS)}")
    text = _asked(kind) if original else ""
    with opened_ledger(config) as ledger:
        if fill:
            _originals(settings, ledger).fill()
        if original:
            reports = find_original(settings, ledger, text, by=acting_person(), kind=kind)
        else:
            reports = find_new(ledger, pseudonym=pseudonym, uid=uid, selection=selection, association=association)
        missing = ledger.studies.count_without_tokens() if original else 0
    _tell(reports, as_json=as_json)
    if missing:
        say(f"{missing} instances of before an upgrade cannot be found like this yet: gateway find --fill", error=True)
    if not reports:
        say("nothing is known of it: it has not been received, or longer ago than the ledger keeps", error=True)
        say("what came from a source:  gateway find --source NAME --since 2026-05-01T08:00", error=True)
    raise typer.Exit(verdict(reports).exit_code)


def studies(
    *,
    source: Source = None,
    project: ProjectName = None,
    since: Since = None,
    until: Until = None,
    destination: Annotated[str | None, typer.Option(help="Only what is or was to go to this destination.")] = None,
    pseudonym: Annotated[str | None, typer.Option(help="Only of this Patient ID in the outputs.")] = None,
    state: Annotated[
        list[InstanceState] | None, typer.Option(help="Only with an instance in one of these states.")
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Only where something waits, is held, or has not arrived everywhere.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most rows.")] = 50,
    before: Annotated[int | None, typer.Option(help="Go on below this number: the last one of a page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per study.")] = False,
    config: ConfigFile = None,
) -> None:
    """List studies: received, held, and what has arrived where."""
    given = chosen(Chosen(source=source, project=project, since=since, until=until), everything=True)
    selection = Selection(
        source=given.source,
        project=given.project,
        since=given.since,
        until=given.until,
        destination=destination,
        patient_id=pseudonym,
        states=tuple(state or ()),
    )
    with opened_ledger(config) as ledger:
        which = StudyFilter(selection=selection, unfinished=unfinished)
        # One more than is shown tells whether there is a next page.
        reports = ledger.studies.reports(which, limit=limit + 1, before=before)
    more, reports = len(reports) > limit, reports[:limit]
    if as_json:
        for report in reports:
            say(json.dumps(study_fields(report), ensure_ascii=False))
    else:
        head = ("study", "received", "in progress", "rejected", "held", "de-identified", "arrived", "last event (UTC)",
                "pseudonym", "source")  # fmt: skip
        print_table(head, [_row(report) for report in reports])
        if not reports:
            say("no studies")
    if more:
        say(f"there are more: --before {reports[-1].number}", error=True)


def _originals(settings: Settings, ledger: Ledger) -> Originals:
    return Originals(open_spool(settings), ledger, project_secret(settings, GATEWAY, create=False))


def _tell(reports: Sequence[StudyReport], *, as_json: bool) -> None:
    if as_json:
        for report in reports:
            say(json.dumps(study_fields(report), ensure_ascii=False))
        return
    for report in reports[:_MOST_SHOWN]:
        fields = study_fields(report)
        say(f"study {report.number or 'unknown'}")
        print_fields(
            (
                ("received", f"{report.received}, {_span(report.first_received, report.last_received)}"),
                ("from", ", ".join(map(str, fields["sources"]))),  # type: ignore[call-overload]
                ("association", " to ".join(map(str, report.associations))),
                ("project", ", ".join(map(str, fields["projects"]))),  # type: ignore[call-overload]
                ("pseudonym", ", ".join(report.patient_ids)),
                ("new study uid", ", ".join(report.study_uids)),
                ("last event", _moment(report.last_event)),
            ),
            indent=2,
        )
        for step in next_steps(report):
            if step.text:
                say(f"  {step.text}")
            if step.command:
                say(f"    {step.command}")
    if len(reports) > _MOST_SHOWN:
        say(f"and {len(reports) - _MOST_SHOWN} more studies: say more of it, or --json for all", error=True)


def _row(report: StudyReport) -> tuple[str, ...]:
    fields = study_fields(report)
    arrived = " ".join(f"{name} {there}/{of}" for name, (there, of) in report.arrived().items())
    return (
        str(report.number or "-"),
        str(report.received),
        _number(report.count(InstanceState.RECEIVED)),
        _codes(report.codes(InstanceState.REJECTED)),
        _codes(report.codes(InstanceState.HELD)),
        str(fields["deidentified"]),
        arrived,
        f"{report.last_event:%Y-%m-%d %H:%M:%S}",
        " ".join(report.patient_ids),
        " ".join(map(str, fields["sources"])),  # type: ignore[call-overload]
    )


def _codes(counts: dict[str, int]) -> str:
    return " ".join(f"{count} {code}" for code, count in counts.items())


def _number(count: int) -> str:
    return str(count) if count else ""


def _span(first: datetime, last: datetime) -> str:
    return _moment(first) if _moment(first) == _moment(last) else f"{_moment(first)} to {_moment(last)}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _asked(kind: str | None) -> str:
    if sys.stdin.isatty():
        question = KINDS.get(kind or "", "Patient ID, accession number or UID")
        return str(typer.prompt(question, hide_input=True)).strip()
    return sys.stdin.readline().strip()
