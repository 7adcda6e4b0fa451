"""``gateway held``: instances that wait for a person, and what that person decides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.audit import AuditAction, AuditEntry, acting_person
from gateway.cli.ledger import opened_ledger
from gateway.cli.listing import print_fields, print_table, say
from gateway.cli.options import ConfigFile
from gateway.config import load_settings
from gateway.errors import ConfigurationError
from gateway.ledger import HeldInstance, Ledger, ReviewRecord

if TYPE_CHECKING:
    from gateway.pipeline.reviewing import Box, HeldImage, ReviewTable

held = typer.Typer(help="Instances that wait for a human.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(metavar="INSTANCE", help="Number of the instance, as the lists give it.")]
Numbers = Annotated[list[int], typer.Argument(metavar="INSTANCE...", help="Numbers of instances.")]
Because = Annotated[str, typer.Option(help="Why, for the audit trail; without identity.")]
Boxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="X,Y,WIDTH,HEIGHT",
        help="Blacken this rectangle on all frames, in pixels from the upper left corner. May be repeated.",
    ),
]
_SIDES: Final = 4


@held.command("list")
def list_held(
    *,
    limit: Annotated[int, typer.Option(min=1, help="Most rows.")] = 100,
    project: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    config: ConfigFile = None,
) -> None:
    """List held instances with the reason, oldest first."""
    with opened_ledger(config) as ledger:
        rows = ledger.held(project=project, limit=limit)
    if not rows:
        say("nothing is held")
        return
    print_table(
        ("instance", "project", "source", "since", "code", "detail"),
        [
            (
                str(row.instance_id),
                row.project or "-",
                row.source or "-",
                f"{row.held_at:%Y-%m-%d %H:%M:%S}",
                row.code,
                row.detail,
            )
            for row in rows
        ],
    )


@held.command()
def show(instance: Number, *, config: ConfigFile = None) -> None:
    """Show why an instance is held, what its image is, and where text was found. No identity."""
    with _table(config) as (ledger, table):
        image = table.image(_found(ledger, instance))
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
    """Write a frame as a picture: blue is blackened by rules, red is text that was found, yellow are boxes of --box.

    The picture shows what the image shows, identity included. That it was written is audited.
    """
    drawn = _boxes(box)
    if output.exists():
        raise ConfigurationError(place=str(output), problem="the file is there already, and is not overwritten")
    with _table(config) as (ledger, table):
        held_instance = _found(ledger, instance)
        try:
            content = table.picture(held_instance, frame=frame, drawn=drawn, plain=plain)
        except ValueError as error:
            raise ConfigurationError(place="held image", problem=str(error)) from None
        entry = AuditEntry(
            actor=acting_person(),
            action=AuditAction.HELD_VIEWED,
            subject=f"instance {instance}",
            facts={"frame": frame},
        )
        ledger.audit(entry)
        _write(output, content)
    say(f"{output}: this picture may show who the patient is; delete it when you have decided", error=True)


@held.command()
def release(instances: Numbers, *, because: Because, config: ConfigFile = None) -> None:
    """Let instances go on: of those that wait for a look at their pixels, you declare that nothing there identifies.

    Every rule and every check applies as ever. An instance that is held for another reason is only tried again.
    """
    from gateway.pipeline.reviewing import is_about_pixels

    reason, actor = _reason(because), acting_person()
    with opened_ledger(config) as ledger:
        found = [_found(ledger, number) for number in dict.fromkeys(instances)]
        pixels = [one.instance_id for one in found if is_about_pixels(one.code)]
        others = [one.instance_id for one in found if not is_about_pixels(one.code)]
        for number in pixels:
            ledger.review(ReviewRecord(instance_id=number, decision="release", boxes=(), actor=actor, because=reason))
        ledger.resume_held(others, by=actor, because=reason)
    for number in pixels:
        say(f"instance {number}: released, and goes on with its pixels as they are")
    for number in others:
        say(f"instance {number}: tried again")


@held.command()
def mask(
    instance: Number,
    *,
    because: Because,
    box: Boxes = None,
    without: Annotated[
        list[int] | None,
        typer.Option("--without", metavar="N", help="Leave out box N of those found. May be repeated."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Blacken boxes on all frames and let the instance go on: those found, less --without, and those of --box."""
    reason, drawn = _reason(because), _boxes(box)
    with _table(config) as (ledger, table):
        held_instance = _found(ledger, instance)
        _require_pixels(held_instance)
        try:
            boxes = table.image(held_instance).boxes(added=drawn, without=without or ())
        except ValueError as error:
            raise ConfigurationError(place="held mask", problem=str(error)) from None
        ledger.review(
            ReviewRecord(
                instance_id=instance,
                decision="mask",
                boxes=tuple(one.numbers for one in boxes),
                actor=acting_person(),
                because=reason,
            )
        )
    say(f"instance {instance}: goes on with {len(boxes)} boxes blackened")
    for one in boxes:
        say(f"  {one}")


@held.command()
def reject(instances: Numbers, *, because: Because, config: ConfigFile = None) -> None:
    """Keep instances out for good. Their bytes go when the retention is over."""
    reason, numbers = _reason(because), list(dict.fromkeys(instances))
    with opened_ledger(config) as ledger:
        for number in numbers:
            _found(ledger, number)
        ledger.reject_held(numbers, by=acting_person(), because=reason)
    for number in numbers:
        say(f"instance {number}: rejected")


@contextmanager
def _table(config: Path | None) -> Iterator[tuple[Ledger, ReviewTable]]:
    from gateway.pipeline.reviewing import ReviewTable

    settings = load_settings(config, os.environ)
    with opened_ledger(config) as ledger, ReviewTable(settings) as table:
        yield ledger, table


def _found(ledger: Ledger, number: int) -> HeldInstance:
    found = ledger.held_instance(number)
    if found is None:
        raise ConfigurationError(place="held", problem=f"instance {number} is not held")
    return found


def _require_pixels(one: HeldInstance) -> None:
    from gateway.pipeline.reviewing import is_about_pixels

    if not is_about_pixels(one.code):
        problem = f"instance {one.instance_id} is held by {one.code}: boxes do not settle that"
        raise ConfigurationError(place="held mask", problem=problem)


def _reason(because: str) -> str:
    reason = because.strip()
    if not reason:
        raise ConfigurationError(place="--because", problem="a decision needs a reason")
    return reason


def _boxes(texts: Sequence[str] | None) -> tuple[Box, ...]:
    from gateway.pipeline.reviewing import Box

    found = []
    for text in texts or ():
        sides = text.split(",")
        if len(sides) != _SIDES or not all(side.strip().isdecimal() for side in sides):
            raise ConfigurationError(place="--box", problem=f"{text} is not x,y,width,height")
        x, y, width, height = (int(side) for side in sides)
        found.append(Box(x, y, width, height))
    return tuple(found)


def _write(path: Path, content: bytes) -> None:
    """Write the file for its owner's eyes alone; never over another one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise ConfigurationError(place=str(path), problem=f"cannot be written: {error.strerror}") from None


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


__all__ = ["held"]
