"""A held instance in front of a reviewer: why it is held, what its image is, where text was found, and its picture.

Nothing here changes anything. What a person decides is carried out by ``gateway.review.decisions``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Self

from gateway.dicom.instance import Instance
from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES
from gateway.errors import InstanceError, PixelsUnreadable, SeriesUnfit, SpoolCorrupt
from gateway.ledger import PIXEL_CODES, HeldInstance, Ledger
from gateway.pixels.areas import Area
from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.editing import edit_of
from gateway.pixels.faces.rendering import preview
from gateway.pixels.frames import open_frames
from gateway.pixels.picture import DrawnBox, Picture, draw, picture_of, png, shrunk
from gateway.profile import Program, load_profile, shipped_profiles
from gateway.profile.pixel_program import FindText, Pass, PixelProgram
from gateway.profile.situation import decided
from gateway.service.faces_of_series import face_of, volume_of
from gateway.settings.configuration import Settings
from gateway.treatment.pixel_stage import PixelStage
from gateway.treatment.resources import open_spool
from gateway.treatment.routing import Router, Sender
from gateway.treatment.treatment import holding, opening_rules

__all__ = ["Box", "HeldImage", "ReviewTable", "is_about_pixels"]

_BY_RULE: Final = (64, 128, 255)
_FOUND: Final = (255, 48, 48)
_LEFT: Final = (255, 128, 0)
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

    def misfit(self, *, rows: int, columns: int) -> str | None:
        """Why it is no box of an image of this size; None if it is one."""
        if self.x < 0 or self.y < 0 or self.width < 1 or self.height < 1:
            return f"the box {self} is none: x and y begin at 0, width and height at 1"
        if self.x + self.width > columns or self.y + self.height > rows:
            return f"the box {self} ends outside the image of {columns} columns and {rows} rows"
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.numbers))


@dataclass(frozen=True, slots=True)
class HeldImage:
    """What a reviewer is told, without identity.

    Attributes
    ----------
    held
        as the ledger has it
    kind
        name of the SOP class
    encoding
        name of the transfer syntax
    description
        of the pixels; None if there are none, or they cannot be described
    reasons
        why a person has to look, or why not even that is possible
    by_rule
        what the profile's rules blacken anyway
    found
        where text was found; their numbers are their places, from 1
    left
        where a second look saw more; their numbers follow those of ``found``
    """

    held: HeldInstance
    kind: str
    encoding: str
    description: PixelDescription | None
    reasons: tuple[str, ...]
    by_rule: tuple[Box, ...]
    found: tuple[Box, ...]
    left: tuple[Box, ...] = ()

    def boxes(self, *, added: Iterable[Box], without: Iterable[int]) -> tuple[Box, ...]:
        """The boxes that a reviewer decides on: those found by either look, less some, and others.

        Raises
        ------
        ValueError
            a number is none of a box, a box does not lie in the image, or none is left; the text says which
        """
        removed, seen = set(without), (*self.found, *self.left)
        unknown = removed - set(range(1, len(seen) + 1))
        if unknown:
            raise ValueError(f"there is no box {min(unknown)}: {len(seen)} were found")
        if self.description is None:
            raise ValueError("the image cannot be read, so that nothing in it can be blackened")
        boxes = [box for number, box in enumerate(seen, 1) if number not in removed]
        for box in added:
            problem = box.misfit(rows=self.description.rows, columns=self.description.columns)
            if problem:
                raise ValueError(problem)
            boxes.append(box)
        if not boxes:
            raise ValueError("no box is left: release the instance if nothing has to be blackened")
        return tuple(dict.fromkeys(boxes))


def is_about_pixels(code: str) -> bool:
    """Whether an instance held with this code waits for somebody to look at its pixels."""
    return code in PIXEL_CODES


class ReviewTable:
    """Lays held instances before a reviewer, by the same rules as the workers; a context manager.

    Parameters
    ----------
    settings
        the configuration of the gateway
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
        SpoolUnavailable, DecoderUnavailable
            it may work later
        ProfileError
            the profile of its project has an error
        """
        try:
            with self._opened(held) as instance:
                return self._image(held, instance)
        except (InstanceError, SpoolCorrupt) as error:
            return HeldImage(held, _class_name(held.sop_class_uid), "", None, (error.message,), (), ())

    def picture(self, held: HeldInstance, *, frame: int, drawn: Sequence[Box] = (), plain: bool = False) -> bytes:
        """A frame as a PNG file: what rules blacken blue, found text red, what a second look saw orange, others yellow.

        Parameters
        ----------
        held
            the instance
        frame
            number of the frame, from 1
        drawn
            further boxes
        plain
            whether no box is drawn at all

        Raises
        ------
        InstanceError
            the frame cannot be read
        ValueError
            there is no such frame
        SpoolUnavailable, DecoderUnavailable
            it may work later
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
            boxes += [
                DrawnBox(area=box.area, colour=_LEFT, number=number)
                for number, box in enumerate(image.left, len(image.found) + 1)
            ]
            boxes += [DrawnBox(area=box.area, colour=_DRAWN) for box in drawn]
            return png(draw(picture, boxes))

    def preview(self, ledger: Ledger, held: HeldInstance) -> bytes:
        """What the series of a held instance shows of a face, as a PNG file: from the front and from both sides.

        Below is what is left of it once what was found of its face is blanked, if anything was found.

        Parameters
        ----------
        ledger
            of the gateway
        held
            an instance of the series

        Raises
        ------
        SeriesUnfit
            the series is no volume
        InstanceError, SpoolCorrupt
            an instance cannot be read
        SpoolUnavailable, DecoderUnavailable, LedgerUnavailable
            it may work later
        """
        if held.project is None or not held.about.series_key:
            raise SeriesUnfit(reason="of the instance no series is known")
        members = ledger.faces.members(held.project, held.about.series_key)
        names = {one.instance_id: one.spool_name for one in members if one.is_there}
        faces = {number: face_of(ledger, number) for number in names}

        def opened(number: int) -> Instance:
            return self._opening.open(self._spool.path(names[number]))

        with holding("the series"):
            before = volume_of(names, opened, sandbox=self._stage.sandbox)
            after = None
            if any(face is not None and face.mask is not None for face in faces.values()):
                after = volume_of(names, opened, sandbox=self._stage.sandbox, faces=faces.__getitem__)
            return png(preview(before, after))

    def tile(self, held: HeldInstance, *, longest: int) -> Picture | None:
        """A small picture of the middle frame, with what rules blacken and what was found when it was held.

        Parameters
        ----------
        held
            the instance
        longest
            its longer edge at most, in pixels

        Returns
        -------
        None if the image cannot be read.

        Raises
        ------
        SpoolUnavailable, DecoderUnavailable
            it may work later
        """
        try:
            with self._opened(held) as instance:
                description = describe(instance)
                if description is None:
                    return None
                with open_frames(instance, description, sandbox=self._stage.sandbox) as frames:
                    frame = frames.frame(description.frames // 2)
                    picture = picture_of(frame, description, frames.photometric_interpretation)
                with holding("the pixels"):
                    by_rule = edit_of(self.program(held, instance), instance, description).areas
        except (InstanceError, SpoolCorrupt):
            return None
        small, factor = shrunk(picture, longest=longest)
        boxes = [(_BY_RULE, area) for area in by_rule]
        boxes += [(_FOUND, Box(*numbers).area) for numbers in held.about.boxes]
        boxes += [(_LEFT, Box(*numbers).area) for numbers in held.about.left]
        scaled = [
            DrawnBox(
                area=Area(*(edge // factor for edge in area[:2]), *(-(-edge // factor) for edge in area[2:])),
                colour=colour,
            )
            for colour, area in boxes
        ]
        return draw(small, scaled)

    def found_by(self, held: HeldInstance, rules: PixelProgram) -> tuple[Box, ...]:
        """Where text is in a held image, by other pixel rules than its project's.

        Raises
        ------
        InstanceError
            the image cannot be read
        SpoolUnavailable, DecoderUnavailable
            it may work later
        """
        with self._opened(held) as instance, holding("the pixels"):
            program = replace(self.program(held, instance), pixels=rules)
            examined = self._stage.examine(program, instance)
        return tuple(map(Box.of, (*examined.boxes, *examined.left)))

    def try_out(self, held: HeldInstance, rules: Callable[[PixelProgram], PixelProgram]) -> str | None:
        """Why the pixels of a held instance would still hold it if its project had other pixel rules; None if not.

        Parameters
        ----------
        held
            the instance
        rules
            what becomes of the rules that apply to the instance

        Raises
        ------
        SpoolUnavailable, DecoderUnavailable
            it may work later
        """
        try:
            with self._opened(held) as instance:
                program = self.program(held, instance)
                changed = replace(program, pixels=rules(program.pixels))
                with (
                    holding("the pixels"),
                    self._stage.treated(changed, instance, work=self._spool.work, review=None),
                ):
                    return None
        except (InstanceError, SpoolCorrupt) as error:
            return error.message

    def searches(self, held: HeldInstance) -> bool:
        """Whether a rule of its project looks for text in a held instance, or vouches that there is none.

        Raises
        ------
        InstanceError
            it cannot be read
        """
        with self._opened(held) as instance:
            rules = self.program(held, instance).pixels
        return any(isinstance(rule, FindText | Pass) for rule in rules)

    def profile(self, held: HeldInstance) -> str:
        """The profile of the project of a held instance, as the configuration has it; empty without a project."""
        return "" if held.project is None else self._settings.projects[held.project].profile

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
        left: tuple[Area, ...] = ()
        description = None
        try:
            description = describe(instance)
            with holding("the pixels"):
                examined = self._stage.examine(self.program(held, instance), instance)
            areas, boxes, left, reasons = examined.areas, examined.boxes, examined.left, examined.reasons
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
            left=tuple(map(Box.of, left)),
        )

    def program(self, held: HeldInstance, instance: Instance) -> Program:
        """The program of the instance's project, as it applies to the instance."""
        name, sender = self._router.route(Sender(held.source, held.calling_ae, held.called_ae), instance)
        program = self._programs.get(name)
        if program is None:
            search = (*self._settings.profiles, shipped_profiles())
            program = load_profile(self._settings.projects[name].profile, search=search)
            self._programs[name] = program
        return program.specialise(decided(program, instance, sender.facts))


def _class_name(uid: str) -> str:
    return STORAGE_SOP_CLASSES.get(uid, "a private or unknown SOP class")


def _syntax_name(uid: str) -> str:
    syntax = TRANSFER_SYNTAXES.get(uid)
    return "an unknown transfer syntax" if syntax is None else syntax.name
