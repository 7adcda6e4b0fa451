"""A held instance in front of a reviewer: why it is held, what its image is, where text was found, and its picture.

Nothing here changes anything. What a person decides is written by ``Ledger.review``, ``resume_held`` and
``reject_held``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from gateway.config import Settings
from gateway.dicom.instance import Instance
from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES
from gateway.errors import GatewayError, InstanceError, PixelHold, PixelsUnreadable, SpoolCorrupt
from gateway.ledger import HeldInstance
from gateway.pipeline.pixels import PixelStage, specialised
from gateway.pipeline.resources import open_spool
from gateway.pipeline.routing import Router, Sender
from gateway.pipeline.treatment import holding, opening_rules
from gateway.pixels.areas import Area
from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.frames import open_frames
from gateway.pixels.picture import DrawnBox, draw, picture_of, png
from gateway.profile import Program, load_profile, shipped_profiles

__all__ = ["Box", "HeldImage", "ReviewTable", "is_about_pixels"]

_BY_RULE: Final = (64, 128, 255)
_FOUND: Final = (255, 48, 48)
_DRAWN: Final = (255, 208, 0)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of a frame: its first column and row, from 0, and its size."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def of(cls, area: Area) -> Box:
        """The box of an area."""
        return cls(area.left, area.top, area.right - area.left, area.bottom - area.top)

    @property
    def area(self) -> Area:
        """The same with corners."""
        return Area(self.x, self.y, self.x + self.width, self.y + self.height)

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """As the ledger keeps it."""
        return self.x, self.y, self.width, self.height

    def __str__(self) -> str:
        return ",".join(map(str, self.numbers))


@dataclass(frozen=True, slots=True)
class HeldImage:
    """What a reviewer is told, without identity.

    Attributes
    ----------
    held: as the ledger has it
    kind: name of the SOP class
    encoding: name of the transfer syntax
    description: of the pixels; None if there are none, or they cannot be described
    reasons: why a person has to look, or why not even that is possible
    by_rule: what the profile's rules blacken anyway
    found: where text was found; their numbers are their places, from 1
    """

    held: HeldInstance
    kind: str
    encoding: str
    description: PixelDescription | None
    reasons: tuple[str, ...]
    by_rule: tuple[Box, ...]
    found: tuple[Box, ...]

    def boxes(self, *, added: Iterable[Box], without: Iterable[int]) -> tuple[Box, ...]:
        """The boxes that a reviewer decides on: those found, less some, and others.

        Raises
        ------
        ValueError: a number is none of a box, a box does not lie in the image, or none is left; the text says which
        """
        removed = set(without)
        unknown = removed - set(range(1, len(self.found) + 1))
        if unknown:
            raise ValueError(f"there is no box {min(unknown)}: {len(self.found)} were found")
        if self.description is None:
            raise ValueError("the image cannot be read, so that nothing in it can be blackened")
        boxes = [box for number, box in enumerate(self.found, 1) if number not in removed]
        for box in added:
            if box.x < 0 or box.y < 0 or box.width < 1 or box.height < 1:
                raise ValueError(f"the box {box} is none: x and y begin at 0, width and height at 1")
            if box.x + box.width > self.description.columns or box.y + box.height > self.description.rows:
                size = f"{self.description.columns} columns and {self.description.rows} rows"
                raise ValueError(f"the box {box} ends outside the image of {size}")
            boxes.append(box)
        if not boxes:
            raise ValueError("no box is left: release the instance if nothing has to be blackened")
        return tuple(dict.fromkeys(boxes))


def is_about_pixels(code: str) -> bool:
    """Whether an instance held with this code waits for somebody to look at its pixels."""
    return code in _pixel_codes(PixelHold) or code in _pixel_codes(PixelsUnreadable)


def _pixel_codes(kind: type[GatewayError]) -> frozenset[str]:
    return frozenset({kind.code}).union(*(_pixel_codes(below) for below in kind.__subclasses__()))


class ReviewTable:
    """Lays held instances before a reviewer, by the same rules as the workers; a context manager.

    Parameters
    ----------
    settings: the configuration of the gateway
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._spool = open_spool(settings)
        self._opening = opening_rules(settings, self._spool.work)
        self._router = Router(settings, settings.projects)
        self._stage = PixelStage(settings.pixels)
        self._programs: dict[str, Program] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stage.close()

    def image(self, held: HeldInstance) -> HeldImage:
        """What there is to know of a held instance.

        Raises
        ------
        SpoolUnavailable, DecoderUnavailable: it may work later
        ProfileError: the profile of its project has an error
        """
        try:
            with self._opened(held) as instance:
                return self._image(held, instance)
        except (InstanceError, SpoolCorrupt) as error:
            return HeldImage(held, _class_name(held.sop_class_uid), "", None, (error.message,), (), ())

    def picture(self, held: HeldInstance, *, frame: int, drawn: Sequence[Box] = (), plain: bool = False) -> bytes:
        """A frame as a PNG file: what rules blacken in blue, found text in red with numbers, other boxes in yellow.

        Parameters
        ----------
        held: the instance
        frame: number of the frame, from 1
        drawn: further boxes
        plain: whether no box is drawn at all

        Raises
        ------
        InstanceError: the frame cannot be read
        ValueError: there is no such frame
        SpoolUnavailable, DecoderUnavailable: it may work later
        """
        with self._opened(held) as instance:
            description = describe(instance)
            if description is None:
                raise PixelsUnreadable(reason="there is no image in it")
            if not 1 <= frame <= description.frames:
                raise ValueError(f"there is no frame {frame}: the image has {description.frames}")
            with open_frames(instance, description, sandbox=self._stage.sandbox) as frames:
                picture = picture_of(frames.frame(frame - 1), description, frames.photometric_interpretation)
            if plain:
                return png(picture)
            image = self._image(held, instance)
            boxes = [DrawnBox(area=box.area, colour=_BY_RULE) for box in image.by_rule]
            boxes += [
                DrawnBox(area=box.area, colour=_FOUND, number=number) for number, box in enumerate(image.found, 1)
            ]
            boxes += [DrawnBox(area=box.area, colour=_DRAWN) for box in drawn]
            return png(draw(picture, boxes))

    @contextmanager
    def _opened(self, held: HeldInstance) -> Iterator[Instance]:
        with holding("opening"):
            opened = self._opening.open(self._spool.path(held.spool_name))
        with opened as instance:
            yield instance

    def _image(self, held: HeldInstance, instance: Instance) -> HeldImage:
        reasons: tuple[str, ...] = ()
        areas: tuple[Area, ...] = ()
        boxes: tuple[Area, ...] = ()
        description = None
        try:
            description = describe(instance)
            with holding("the pixels"):
                found = self._stage.examine(self._program(held, instance), instance)
            areas, boxes, reasons = found.areas, found.boxes, found.reasons
        except InstanceError as error:
            reasons = (error.message,)
        return HeldImage(
            held=held,
            kind=_class_name(instance.meta.sop_class_uid),
            encoding=_syntax_name(instance.meta.transfer_syntax),
            description=description,
            reasons=reasons,
            by_rule=tuple(map(Box.of, areas)),
            found=tuple(map(Box.of, boxes)),
        )

    def _program(self, held: HeldInstance, instance: Instance) -> Program:
        """The program of the instance's project, as it applies to the instance."""
        name, sender = self._router.route(Sender(held.source, held.calling_ae, held.called_ae), instance)
        program = self._programs.get(name)
        if program is None:
            search = (*self._settings.profiles, shipped_profiles())
            program = load_profile(self._settings.projects[name].profile, search=search)
            self._programs[name] = program
        return specialised(program, instance, sender.facts)


def _class_name(uid: str) -> str:
    return STORAGE_SOP_CLASSES.get(uid, "a private or unknown SOP class")


def _syntax_name(uid: str) -> str:
    syntax = TRANSFER_SYNTAXES.get(uid)
    return "an unknown transfer syntax" if syntax is None else syntax.name
