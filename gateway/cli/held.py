"""``gateway held``: instances that wait for a person, and what that person decides."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from gateway.audit import acting_person
from gateway.cli.ledger import opened_ledger
from gateway.cli.shared_options import ConfigFile
from gateway.cli.tables import print_fields, print_table, say
from gateway.errors import ConfigurationError
from gateway.ledger import HeldFilter, HeldInstance, Ledger
from gateway.settings.configuration import Settings, load_settings

if TYPE_CHECKING:
    from gateway.review.decisions import Selection
    from gateway.review.held_instance import Box, HeldImage, ReviewTable

held = typer.Typer(help="Instances that wait for a human.", no_args_is_help=True)

Number: TypeAlias = Annotated[
    int, typer.Argument(metavar="INSTANCE", help="Number of the instance, as the lists give it.")
]
Numbers: TypeAlias = Annotated[
    list[int] | None, typer.Argument(metavar="[INSTANCE...]", help="Numbers of instances.", show_default=False)
]
Because: TypeAlias = Annotated[str, typer.Option(help="Why, for the audit trail; without identity.")]
Boxes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="X,Y,WIDTH,HEIGHT",
        help="A rectangle on all frames, in pixels from the upper left corner. May be repeated.",
    ),
]
Like: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Those of the same maker, model, rows and columns as instance N.")
]
Series: TypeAlias = Annotated[int | None, typer.Option(metavar="N", help="Those of the series of instance N.")]
Study: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="N|UID", help="Those of the study of instance N, or with this Study Instance UID."),
]
Project: TypeAlias = Annotated[str | None, typer.Option(help="Only this project.")]
Code: TypeAlias = Annotated[str | None, typer.Option(help="Only those held with this code.")]
Device: TypeAlias = Annotated[str | None, typer.Option(help="Only those whose maker and model have this in them.")]
Size: TypeAlias = Annotated[str | None, typer.Option(metavar="COLUMNSxROWS", help="Only images of this size.")]
SopClass: TypeAlias = Annotated[str | None, typer.Option(help="Only this SOP class: its UID, or part of its name.")]
Since: TypeAlias = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only those held since: 2026-11-30, 2026-11-30T12:00, 90m, 12h, 3d.")
]
All: TypeAlias = Annotated[bool, typer.Option("--all", help="All that are held.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_SIDES: Final = 4
_AGO: Final = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
#: Decisions that are told one by one; of more only the number is.
_TOLD: Final = 20


@held.command("list")
def list_held(
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most rows.")] = 100,
    after: Annotated[int, typer.Option(min=0, help="Only instances with a higher number: the next page.")] = 0,
    group: Annotated[bool, typer.Option("--group", help="Count them by cause, device, kind and size.")] = False,
    as_json: Json = False,
    like: Like = None,
    series: Series = None,
    study: Study = None,
    project: Project = None,
    code: Code = None,
    device: Device = None,
    size: Size = None,
    sop_class: SopClass = None,
    since: Since = None,
    config: ConfigFile = None,
) -> None:
    """List held instances with the reason, oldest first; of a series that is held for faces the first one."""
    from gateway.review.contact_sheet import once_for_each_series

    chosen = _selection(
        None, like=like, series=series, study=study, project=project, code=code, device=device, size=size,
        sop_class=sop_class, since=since,
    )  # fmt: skip
    with opened_ledger(config) as ledger:
        wanted = _filter(ledger, config, chosen)
        if group:
            _print_groups(ledger, wanted, as_json=as_json)
            return
        rows = [
            row
            for row in once_for_each_series(ledger.holds.instances(which=wanted, limit=None))
            if row[0].instance_id > after
        ]
    page = rows[:limit]
    if as_json:
        say(json.dumps([_as_json(row, stands_for) for row, stands_for in page], indent=2))
        return
    if not page:
        say("nothing is held")
        return
    print_table(
        ("instance", "project", "source", "since", "code", "device", "size", "detail"),
        [
            (
                str(row.instance_id),
                row.project or "-",
                row.source or "-",
                f"{row.held_at:%Y-%m-%d %H:%M:%S}",
                row.code,
                row.about.device,
                row.about.size,
                row.detail if stands_for == 1 else f"{row.detail} ({stands_for} instances of the series)",
            )
            for row, stands_for in page
        ],
    )
    if len(rows) > len(page):
        last = page[-1][0].instance_id
        say(f"{len(rows) - len(page)} more: --after {last}, or --limit {len(rows)}; --group counts them", error=True)


@held.command()
def show(instance: Number, *, config: ConfigFile = None) -> None:
    """Show why an instance is held, what its image is, and where text was found. No identity."""
    with _table(config) as (ledger, table):
        image = table.image(_found(ledger, instance))
        ledger.holds.view([instance], by=acting_person(), audited=False)
    _print_image(image)


@held.command()
def image(
    instance: Number,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.png", help="File to write.")],
    frame: Annotated[int, typer.Option(min=1, help="Number of the frame, from 1.")] = 1,
    box: Boxes = None,
    plain: Annotated[bool, typer.Option("--plain", help="Without boxes.")] = False,
    config: ConfigFile = None,
) -> None:
    """Write a frame as a picture with boxes: blue ones are blackened by rules, red ones are text that was found.

    Orange ones are what a second look saw, yellow ones those of --box. The picture shows what the image shows, identity
    included. That it was written is audited.
    """
    drawn = _boxes(box)
    _require_free(output)
    with _table(config) as (ledger, table):
        held_instance = _found(ledger, instance)
        try:
            content = table.picture(held_instance, frame=frame, drawn=drawn, plain=plain)
        except ValueError as error:
            raise ConfigurationError(place="held image", problem=str(error)) from None
        ledger.holds.view([instance], by=acting_person(), facts={"frame": frame})
        _write(output, content)
    say(f"{output}: this picture may show who the patient is; delete it when you have decided", error=True)


@held.command()
def preview(
    instance: Number,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.png", help="File to write.")],
    config: ConfigFile = None,
) -> None:
    """Write a picture of the skin that the instance's series shows, from the front and both sides.

    Below it is what is left without the face, if one was found. It may show who the patient is. That it was written is
    audited.
    """
    _require_free(output)
    with _table(config) as (ledger, table):
        content = table.preview(ledger, _found(ledger, instance))
        ledger.holds.view([instance], by=acting_person())
        _write(output, content)
    say(f"{output}: this picture may show who the patient is; delete it when you have decided", error=True)


@held.command()
def deface(instance: Number, *, because: Because, config: ConfigFile = None) -> None:
    """Declare that what was found of the face suffices, of a series that you were shown (preview).

    All of its held instances go on with it blanked, and say that no face is recognised.
    """
    from gateway.review import decisions

    reason = _reason(because)
    with opened_ledger(config) as ledger:
        one = _found(ledger, instance)
        count = decisions.accept_blanking(ledger, one, actor=acting_person(), because=reason)
    say(f"the series of instance {instance}: goes on with its face blanked in {count} instances")


@held.command()
def sheet(
    instances: Numbers = None,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.png", help="File to write; more get numbers.")
    ],
    like: Like = None,
    series: Series = None,
    study: Study = None,
    project: Project = None,
    code: Code = None,
    device: Device = None,
    size: Size = None,
    sop_class: SopClass = None,
    since: Since = None,
    everything: All = False,
    config: ConfigFile = None,
) -> None:
    """Write contact sheets: forty images to a picture, with their numbers and boxes. That it was written is audited."""
    from gateway.review.contact_sheet import contact_sheets, once_for_each_series

    chosen = _selection(
        instances, like=like, series=series, study=study, project=project, code=code, device=device, size=size,
        sop_class=sop_class, since=since, everything=everything,
    )  # fmt: skip
    with _table(config) as (ledger, table):
        selected = [one for one, _ in once_for_each_series(_chosen(ledger, config, chosen))]
        for number, (content, seen) in enumerate(contact_sheets(table, selected), 1):
            path = output if number == 1 else output.with_stem(f"{output.stem}-{number}")
            _require_free(path)
            ledger.holds.view(seen, by=acting_person())
            _write(path, content)
            say(f"{path}: {len(seen)} images; they may show who the patients are: delete it when you have decided")


@held.command()
def rule(
    instance: Number,
    *,
    because: Because,
    box: Boxes = None,
    keep: Annotated[bool, typer.Option("--keep", help="The boxes stay, and all else is blackened.")] = False,
    no_search: Annotated[bool, typer.Option("--no-search", help="Without a search for text that is left.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Add the rule to the file of the project's profile.")] = False,
    config: ConfigFile = None,
) -> None:
    """Write the pixel rule for images like a held one, and say how many held instances it frees."""
    from gateway.review.rule_writing import add_to_profile, propose

    with _table(config) as (ledger, table):
        proposed = propose(
            ledger, table, instance, boxes=_boxes(box), keeps=keep, search=not no_search, because=_reason(because)
        )
    say("pixels:")
    say(proposed.text.rstrip("\n"))
    alike = len(proposed.alike)
    say(
        f"{alike} held instance{'s are' if alike > 1 else ' is'} like it; tried on {proposed.tried}: "
        f"{proposed.frees} would go on",
        error=True,
    )
    for why, count in proposed.stays.most_common():
        say(f"{count} would stay held: {why}", error=True)
    if write:
        path = _profile_file(proposed.profile, config)
        add_to_profile(path, proposed.text)
        then = f"gateway held retry --like {instance}"
        say(f"{path.name}: the rule is in; activate the profile, then: {then}", error=True)


@held.command()
def retry(
    instances: Numbers = None,
    *,
    because: Because,
    like: Like = None,
    series: Series = None,
    study: Study = None,
    project: Project = None,
    code: Code = None,
    device: Device = None,
    size: Size = None,
    sop_class: SopClass = None,
    since: Since = None,
    everything: All = False,
    config: ConfigFile = None,
) -> None:
    """Let instances go through the rules of today: nobody declares anything, and every rule and check applies."""
    from gateway.review import decisions

    reason = _reason(because)
    chosen = _selection(
        instances, like=like, series=series, study=study, project=project, code=code, device=device, size=size,
        sop_class=sop_class, since=since, everything=everything,
    )  # fmt: skip
    with opened_ledger(config) as ledger:
        selected = _chosen(ledger, config, chosen)
        decisions.retry(ledger, selected, actor=acting_person(), because=reason)
    _tell([one.instance_id for one in selected], "tried again")


@held.command()
def release(
    instances: Numbers = None, *, because: Because, like: Like = None, series: Series = None, config: ConfigFile = None
) -> None:
    """Declare that nothing in the pixels identifies, of instances that you were shown (image, sheet, show).

    Every other rule and check applies as ever, and a word of the header that can be read holds the instance all the
    same. A word about faces counts for the whole series. An instance that is held for another reason than its pixels is
    only tried again.
    """
    from gateway.review import decisions

    reason = _reason(because)
    with opened_ledger(config) as ledger:
        selected = _chosen(ledger, config, _selection(instances, like=like, series=series))
        if like is not None:
            code = _found(ledger, like).code
            selected = [one for one in selected if one.code == code]
        done = decisions.release(ledger, selected, actor=acting_person(), because=reason)
    _tell(done.text, "released, and goes on with its pixels as they are")
    _tell(done.features, "released as to faces, with its series")
    _tell(done.retried, "tried again")


@held.command()
def mask(
    instances: Numbers = None,
    *,
    because: Because,
    box: Boxes = None,
    without: Annotated[
        list[int] | None,
        typer.Option("--without", metavar="N", help="Leave out box N of those found. May be repeated."),
    ] = None,
    like: Like = None,
    series: Series = None,
    config: ConfigFile = None,
) -> None:
    """Blacken boxes on all frames and let instances go on: those found in each, less --without, and those of --box."""
    from gateway.review import decisions

    reason, drawn = _reason(because), _boxes(box)
    with _table(config) as (ledger, table):
        selected = _about_pixels(_chosen(ledger, config, _selection(instances, like=like, series=series)), instances)
        if without and len(selected) > 1:
            raise ConfigurationError(place="--without", problem="boxes have numbers in one image: mask it alone")
        # Of one image the boxes are those that a look at it gives now, as show and image do.
        seen = table.image(selected[0]) if len(selected) == 1 and like is None and series is None else None
        done = decisions.mask(
            ledger, selected, added=drawn, image=seen, without=without or (), actor=acting_person(), because=reason
        )
    _tell_boxes(done)


@held.command("keep-region")
def keep_region(
    instances: Numbers = None,
    *,
    because: Because,
    box: Boxes = None,
    like: Like = None,
    series: Series = None,
    config: ConfigFile = None,
) -> None:
    """Blacken everything outside the regions of --box on all frames, and let instances go on."""
    from gateway.review import decisions

    reason, regions = _reason(because), _boxes(box)
    with opened_ledger(config) as ledger:
        selected = _about_pixels(_chosen(ledger, config, _selection(instances, like=like, series=series)), instances)
        done = decisions.keep_region(ledger, selected, regions=regions, actor=acting_person(), because=reason)
    _tell_boxes(done)


@held.command()
def reject(
    instances: Numbers = None, *, because: Because, like: Like = None, series: Series = None, config: ConfigFile = None
) -> None:
    """Keep instances out for good. Their bytes go when the retention is over."""
    from gateway.review import decisions

    reason = _reason(because)
    with opened_ledger(config) as ledger:
        selected = _chosen(ledger, config, _selection(instances, like=like, series=series))
        decisions.reject(ledger, selected, actor=acting_person(), because=reason)
    _tell([one.instance_id for one in selected], "rejected")


@contextmanager
def _table(config: Path | None) -> Iterator[tuple[Ledger, ReviewTable]]:
    from gateway.review.held_instance import ReviewTable

    with opened_ledger(config) as ledger, ReviewTable(_settings(config)) as table:
        yield ledger, table


def _settings(config: Path | None) -> Settings:
    return load_settings(config, os.environ)


def _found(ledger: Ledger, number: int) -> HeldInstance:
    from gateway.review.decisions import held_one

    return held_one(ledger, number)


def _selection(numbers: Sequence[int] | None, *, since: str | None = None, **choice: object) -> Selection:
    from gateway.review.decisions import Selection

    moment = None if since is None else _moment(since)
    return Selection(numbers=tuple(dict.fromkeys(numbers or ())), since=moment, **choice)  # type: ignore[arg-type]


def _filter(ledger: Ledger, config: Path | None, chosen: Selection) -> HeldFilter:
    from gateway.review.decisions import which

    return which(ledger, _settings(config), chosen)


def _chosen(ledger: Ledger, config: Path | None, chosen: Selection) -> list[HeldInstance]:
    from gateway.review.decisions import choose

    return choose(ledger, _settings(config), chosen)


def _about_pixels(selected: list[HeldInstance], named: Sequence[int] | None) -> list[HeldInstance]:
    """Those that wait for a look at their pixels; of those that were named none is left out."""
    from gateway.review.held_instance import is_about_pixels

    return selected if named else [one for one in selected if is_about_pixels(one.code)]


def _moment(text: str) -> datetime:
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        problem = f"{text} is no time: 2026-11-30, 2026-11-30T12:00, 90m, 12h or 3d"
        raise ConfigurationError(place="--since", problem=problem) from None
    return moment if moment.tzinfo is not None else moment.astimezone()


def _reason(because: str) -> str:
    reason = because.strip()
    if not reason:
        raise ConfigurationError(place="--because", problem="a decision needs a reason")
    return reason


def _boxes(texts: Sequence[str] | None) -> tuple[Box, ...]:
    from gateway.review.held_instance import Box

    boxes = []
    for text in texts or ():
        sides = text.split(",")
        if len(sides) != _SIDES or not all(side.strip().isdecimal() for side in sides):
            raise ConfigurationError(place="--box", problem=f"{text} is not x,y,width,height")
        x, y, width, height = (int(side) for side in sides)
        boxes.append(Box(x, y, width, height))
    return tuple(boxes)


def _profile_file(name: str, config: Path | None) -> Path:
    """The file of a profile that a project names."""
    if name.endswith(".yaml") or "/" in name:
        return Path(name)
    files = [path for directory in _settings(config).profiles if (path := directory / f"{name}.yaml").is_file()]
    if not files:
        problem = f"{name} is a shipped profile: write one of your own that uses it, and name that in the project"
        raise ConfigurationError(place="--write", problem=problem)
    return files[0]


def _require_free(path: Path) -> None:
    if path.exists():
        raise ConfigurationError(place=str(path), problem="the file is there already, and is not overwritten")


def _write(path: Path, content: bytes) -> None:
    """Write the file for its owner's eyes alone; never over another one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise ConfigurationError(place=str(path), problem=f"cannot be written: {error.strerror}") from None


def _tell(numbers: Sequence[int], what: str) -> None:
    if len(numbers) > _TOLD:
        say(f"{len(numbers)} instances: {what}")
        return
    for number in numbers:
        say(f"instance {number}: {what}")


def _tell_boxes(done: dict[int, tuple[Box, ...]]) -> None:
    if len(done) > _TOLD:
        say(f"{len(done)} instances: go on with boxes blackened")
        return
    for number, boxes in done.items():
        say(f"instance {number}: goes on with {len(boxes)} box{'es' if len(boxes) > 1 else ''} blackened")
        for one in boxes if len(done) == 1 else ():
            say(f"  {one}")


def _as_json(row: HeldInstance, stands_for: int) -> dict[str, object]:
    about = row.about
    return {
        "instance": row.instance_id,
        "instances": stands_for,
        "project": row.project,
        "source": row.source,
        "code": row.code,
        "detail": row.detail,
        "received_at": row.received_at.isoformat(),
        "held_at": row.held_at.isoformat(),
        "sop_class": row.sop_class_uid,
        "modality": about.modality,
        "maker": about.maker,
        "model": about.model,
        "rows": about.rows,
        "columns": about.columns,
        "frames": about.frames,
        "boxes": [list(box) for box in about.boxes],
        "left": [list(box) for box in about.left],
    }


def _print_groups(ledger: Ledger, wanted: HeldFilter, *, as_json: bool) -> None:
    from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES

    groups = ledger.holds.groups(wanted)
    if as_json:
        rows = [
            {
                "project": one.project, "code": one.code, "maker": one.maker, "model": one.model,
                "sop_class": one.sop_class_uid, "rows": one.rows, "columns": one.columns, "first": one.first,
                "instances": one.instances, "series": one.series, "oldest": one.oldest.isoformat(),
            }
            for one in groups
        ]  # fmt: skip
        say(json.dumps(rows, indent=2))
        return
    if not groups:
        say("nothing is held")
        return
    print_table(
        ("instances", "series", "like", "project", "code", "device", "size", "kind", "oldest"),
        [
            (
                str(one.instances),
                str(one.series),
                str(one.first),
                one.project or "-",
                one.code,
                " ".join(filter(None, (one.maker, one.model))) or "-",
                f"{one.columns}x{one.rows}" if one.rows else "-",
                STORAGE_SOP_CLASSES.get(one.sop_class_uid, "unknown").removesuffix(" Storage"),
                f"{one.oldest:%Y-%m-%d %H:%M:%S}",
            )
            for one in groups
        ],
    )


def _print_image(image: HeldImage) -> None:
    one, about = image.held, image.description
    fields = [
        ("instance", str(one.instance_id)),
        ("project", one.project or "-"),
        ("source", one.source or "-"),
        ("received", f"{one.received_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("held", f"{one.held_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("code", one.code),
        ("because", one.detail),
        ("kind", image.kind),
        ("encoding", image.encoding),
        ("device", one.about.device),
    ]
    if about is not None:
        frames = "1 frame" if about.frames == 1 else f"{about.frames} frames"
        fields += [
            ("image", f"{about.columns} x {about.rows} pixels, {frames}"),
            ("pixels", f"{about.photometric_interpretation}, {about.bits_stored} of {about.bits_allocated} bits"),
        ]
    print_fields(fields)
    for reason in image.reasons:
        say(f"a person looks because: {reason}")
    for box in image.by_rule:
        say(f"blackened by rule: {box}")
    for number, box in enumerate(image.found, 1):
        say(f"text found, box {number}: {box}")
    for number, box in enumerate(image.left, len(image.found) + 1):
        say(f"seen by a second look, box {number}: {box}")


__all__ = ["held"]
