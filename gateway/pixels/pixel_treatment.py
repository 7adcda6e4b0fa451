"""What happens to the pixels of one instance: rules, caution, text to find, and the frames that are written again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import ItemChange, PixelChange
from gateway.dicom.segments import Segment
from gateway.errors import (
    BurnedInTextSuspected,
    FeaturesSuspected,
    HeldByPixelRule,
    PixelsUnreadable,
    RuleFailed,
    WaitsForSeries,
)
from gateway.pixels import crop, stamping
from gateway.pixels.areas import Area, area_of, outside
from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.drawings import Drawings, drawings_of, keeps_overlays_in_pixels
from gateway.pixels.editing import Edit, EditedFrames, edit_of, has_hidden_bits, name_of
from gateway.pixels.faces.blanking import Face, blank_of
from gateway.pixels.faces.places import is_part_of_volume
from gateway.pixels.frames import open_frames
from gateway.pixels.measured import is_measured
from gateway.pixels.review import Review
from gateway.pixels.risk import OVERLAY_IN_PIXELS, Risk, features_risk_of, risk_of
from gateway.pixels.sampling import (
    SERIES_INSTANCE_UID,
    ChosenFrames,
    Look,
    SeriesMemory,
    chosen_frames,
    is_sampled,
    is_slice,
    look_of,
)
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.syntaxes import output_syntax
from gateway.pixels.text import Findings, Remains, TextBox, TextFinder
from gateway.pixels.writing import FrameWriter
from gateway.profile import Program
from gateway.profile.pixel_program import FindText, HoldPixels, Pass

__all__ = ["Examination", "Findings", "PixelOutcome", "PixelTreatment", "Remains", "TextBox", "TextFinder"]

#: Clean Recognizable Visual Features Option (PS3.16 CID 7050).
_CLEAN_FEATURES: Final = "113102"
#: Clean Pixel Data and Clean Graphics Options.
_CLEAN_DRAWINGS: Final = frozenset({"113101", "113103"})


@dataclass(frozen=True, slots=True)
class Examination:
    """What would be done, without doing it.

    Attributes
    ----------
    areas
        what rules blacken
    boxes
        where text was found
    reasons
        why a person has to look, empty if nobody has to
    left
        where the second look still sees text once ``areas`` and ``boxes`` are black: why they do not suffice
    """

    areas: tuple[Area, ...]
    boxes: tuple[Area, ...]
    reasons: tuple[str, ...]
    left: tuple[Area, ...] = ()


@dataclass(slots=True)
class PixelOutcome:
    """What became of the pixels; a context manager that deletes the file of written frames.

    Attributes
    ----------
    change
        what the output has in other elements than the received ones; None if nothing was done
    edit
        what was blackened and cut off, for those who check the output
    reasons
        the rules and findings behind it, in words without values
    sampled
        whether it is a slice of a series that only a sample of its slices speaks for
    series_text
        whether it is a slice of such a series, and had text: all of the series has to be looked at
    surplus
        bytes of Pixel Data that are no pixels and go; None if nothing goes
    """

    change: PixelChange | None
    edit: Edit
    reasons: tuple[str, ...]
    sampled: bool = False
    series_text: bool = False
    _file: Path | None = None
    surplus: int | None = None

    @property
    def areas(self) -> tuple[Area, ...]:
        """What was blackened, in pixels of the received image."""
        return self.edit.areas

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete the file of written frames, if there is one: the output is stored, or never will be."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            self._file = None


@dataclass(frozen=True, slots=True)
class _Written:
    """Pixels that were written again, and what changed with them; an instance whose pixels stay has nothing of it."""

    transfer_syntax: str
    elements: Mapping[int, tuple[Segment, ...] | None] = field(default_factory=dict)
    items: tuple[ItemChange, ...] = ()
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Search:
    """What a search for text gave.

    Attributes
    ----------
    edit
        with the text that was found
    whole
        whether all of the image was looked at, or something found in it
    sampled
        whether only a sample of the series speaks for this slice
    series_text
        whether it is a slice, and had text
    """

    edit: Edit
    whole: bool
    sampled: bool = False
    series_text: bool = False


class PixelTreatment:
    """Treats the pixels of instances. One per process: the sandbox runs a decoder, the finder loads its models.

    Parameters
    ----------
    sandbox
        where compressed frames are decoded and encoded
    finder
        finds text; without it an instance in which a rule wants text found is held
    """

    def __init__(self, *, sandbox: Sandbox, finder: TextFinder | None) -> None:
        self._sandbox = sandbox
        self._finder = finder
        self._series = SeriesMemory()

    def treat(
        self,
        program: Program,
        instance: Instance,
        *,
        work: Path,
        words: Callable[[], frozenset[str]],
        review: Review | None = None,
        series_has_text: Callable[[], bool] = bool,
        features_settled: Callable[[], bool] = bool,
        face_of: Callable[[], Face | None] | None = None,
    ) -> PixelOutcome:
        """Apply the pixel rules of a program.

        Nothing is decoded where no rule touches the pixels and nothing makes them suspect.

        Parameters
        ----------
        program
            specialised: ``Program.specialise``
        instance
            as received; its file stays open as long as the outcome's change is used
        work
            directory for the file of written frames
        words
            gives what identifies in the instance's header, asked only where text is looked for
        review
            what a person decided who looked at the pixels
        series_has_text
            tells whether another slice of the instance's series had text; asked of slices of which
            otherwise a sample is looked at
        features_settled
            tells whether a person has decided that no face can be recognised in the instance's series
        face_of
            tells what was found of a face in the instance's series, None if nothing yet; without it series are
            not looked at here, and what may show a face is held

        Returns
        -------
        The outcome; to be closed once the output is stored.

        Raises
        ------
        PixelHold
            a person has to look: text or a face is suspected, or a rule says so
        WaitsForSeries
            a rule takes faces out of the instance's series, which has not been looked at yet
        PixelsUnreadable
            the pixels contradict their description or cannot be decoded
        PixelsUnwritable
            they cannot be written as the profile wants
        RuleFailed
            a rule cannot be applied to this image
        """
        drawings = drawings_of(program, instance, finder=self._finder, words=words, reviewed=_vouched(review))
        face = _face(program, instance, review, features_settled, face_of)
        outcome = self._treated(program, instance, work, words, review, series_has_text, features_settled, face)
        return _with_drawings(outcome, instance, drawings)

    def _treated(
        self,
        program: Program,
        instance: Instance,
        work: Path,
        words: Callable[[], frozenset[str]],
        review: Review | None,
        series_has_text: Callable[[], bool],
        features_settled: Callable[[], bool],
        face: Face | None,
    ) -> PixelOutcome:
        """What becomes of Pixel Data."""
        description = _described(program, instance, review)
        if description is None:
            _caution_features(program, instance, review, features_settled, face)
            return _outcome(program, instance, Edit(), review, checked=_vouched(review), unlooked=False)
        edit = edit_of(program, instance, description)
        touched = bool(edit)
        search: _Search | None = None
        if review is None or not review.text:
            _hold(program)
            risk = risk_of(instance, description)
            if _is_overlay_to_clear(risk, program, instance, description):
                # It is no part of the samples, and goes.
                edit, risk = _cleared(instance, description, edit), None
            search = self._search(program, instance, description, edit, words, risk is not None, series_has_text)
            if search is not None:
                edit, touched = search.edit, touched or search.whole
            if risk is not None and not touched and not _is_declared(program):
                raise BurnedInTextSuspected(reason=risk.reason)
        else:
            edit, touched = _reviewed(edit, review, description), True
            self._refuse_words(instance, description, edit, words)
        _caution_features(program, instance, review, features_settled, face)
        if face is not None and face.kind == "blank":
            blank = blank_of(face, instance, description)
            edit = replace(edit, blank=blank, because=(*edit.because, *(["its face"] if blank is not None else [])))
        if not edit and (touched or _claims_clean(program, instance)):
            # What nobody sees was not looked at.
            edit = _cleared(instance, description, edit)
        if edit:
            outcome = self._written(program, instance, description, edit, review, work, looked=touched)
        else:
            # A volume of which some frames were looked at keeps what it says of itself.
            partly = search is not None and not search.whole and not search.sampled
            outcome = _outcome(program, instance, edit, review, checked=touched, unlooked=not partly)
        if face is not None and face.kind == "blank":
            _claim_faceless(outcome, instance)
        if search is not None:
            outcome.sampled, outcome.series_text = search.sampled, search.series_text
        return outcome

    def examine(self, program: Program, instance: Instance, *, words: Callable[[], frozenset[str]]) -> Examination:
        """Tell a reviewer what rules and the finder of text say, whether they are sure or not.

        Parameters
        ----------
        program, instance, words
            as for ``treat``

        Raises
        ------
        InstanceError
            the pixels cannot be read, or a rule cannot be applied
        """
        description = describe(instance)
        reasons = [f"{name_of(rule)}: {rule.because}" for rule in program.pixels if isinstance(rule, HoldPixels)]
        features = features_risk_of(instance) if _cleans_features(program) else None
        if description is None:
            return Examination((), (), (*reasons, *([features.reason] if features is not None else [])))
        edit = edit_of(program, instance, description)
        risk = risk_of(instance, description)
        boxes: tuple[Area, ...] = ()
        left: tuple[Area, ...] = ()
        rule = program.pixels.find_text
        if rule is not None and self._finder is not None and (rule.scan != "risky" or risk is not None):
            identity = words()
            findings = self._find(instance, description, edit, rule, identity)
            boxes = _areas(findings.boxes, description)
            reasons += [reason for reason in (findings.unsure, findings.hold) if reason is not None]
            blackened = edit.adding(boxes, name_of(rule)) if boxes else edit
            remains = self._again(instance, description, blackened, rule, identity, findings)
            if remains is not None:
                left = _areas(remains.boxes, description)
                reasons.append(remains.reason)
        elif risk is not None and not edit and not _is_declared(program):
            reasons.append(risk.reason)
        if features is not None:
            reasons.append(features.reason)
        return Examination(edit.areas, boxes, tuple(reasons), left)

    def _search(
        self,
        program: Program,
        instance: Instance,
        description: PixelDescription,
        edit: Edit,
        words: Callable[[], frozenset[str]],
        suspect: bool,  # noqa: FBT001 - private
        series_has_text: Callable[[], bool],
    ) -> _Search | None:
        """Look for text as far as a rule wants it in this instance; None if no rule does."""
        rule = program.pixels.find_text
        if rule is None or (rule.scan == "risky" and not suspect):
            return None
        look = Look.WHOLE if suspect or rule.scan != "sampled" else look_of(instance, description)
        if look is Look.NONE:
            return None
        if look is Look.FRAMES and not self._has_text(instance, description, edit, rule, words):
            return _Search(edit, whole=False)
        slice_ = rule.scan == "sampled" and is_slice(instance, description)
        series = instance.text(SERIES_INSTANCE_UID)
        whole = look is not Look.SLICE or self._series.has_text(series) or series_has_text()
        if not whole and not is_sampled(instance) and not self._series.is_new(series):
            return _Search(edit, whole=False, sampled=True)
        try:
            blackened, text = self._text(instance, description, edit, rule, words)
        except BurnedInTextSuspected as suspected:
            if slice_:
                self._series.add(series, text=True)
                suspected.facts["series_text"] = True
            raise
        if slice_:
            self._series.add(series, text=text)
        return _Search(blackened, whole=whole or text, sampled=not (whole or text), series_text=slice_ and text)

    def _has_text(
        self,
        instance: Instance,
        description: PixelDescription,
        edit: Edit,
        rule: FindText,
        words: Callable[[], frozenset[str]],
    ) -> bool:
        """Whether there is text in the sample of frames of a volume."""
        chosen = chosen_frames(description)
        some = replace(description, frames=len(chosen))
        findings = self._find(instance, description, edit, rule, words(), chosen=(chosen, some))
        return bool(findings.boxes) or findings.unsure is not None or findings.hold is not None

    def _text(
        self,
        instance: Instance,
        description: PixelDescription,
        edit: Edit,
        rule: FindText,
        words: Callable[[], frozenset[str]],
    ) -> tuple[Edit, bool]:
        """The edit with text that was found, and whether there was any."""
        identity = words()
        findings = self._find(instance, description, edit, rule, identity)
        boxes = _areas(findings.boxes, description)
        reason = findings.hold or (findings.unsure if rule.when_unsure == "hold" else None)
        if reason is not None:
            raise _suspected(reason, boxes)
        blackened = edit.adding(boxes, f"{name_of(rule)}: text was found") if boxes else edit
        remains = self._again(instance, description, blackened, rule, identity, findings)
        if remains is not None:
            raise _suspected(remains.reason, boxes, _areas(remains.boxes, description))
        return blackened if edit.kept is None else _inside(blackened, edit.kept), bool(boxes)

    def _again(
        self,
        instance: Instance,
        description: PixelDescription,
        edit: Edit,
        rule: FindText,
        words: frozenset[str],
        findings: Findings,
    ) -> Remains | None:
        """What a second look says of the frames with their text blackened; None if nothing, or if it is not due."""
        always = rule.thorough == "always"
        if self._finder is None or not (findings.boxes or always):
            return None
        with open_frames(instance, description, sandbox=self._sandbox) as frames:
            seen = EditedFrames(frames, description, _seen(edit, description))
            return self._finder.check(seen, description, rule, words, thorough=findings.faint or always)

    def _find(
        self,
        instance: Instance,
        description: PixelDescription,
        edit: Edit,
        rule: FindText,
        words: frozenset[str],
        *,
        chosen: tuple[tuple[int, ...], PixelDescription] | None = None,
    ) -> Findings:
        """What the finder says of the frames, or of chosen ones, as the other rules leave them."""
        if self._finder is None:
            raise RuleFailed(where=name_of(rule), reason="finding text needs the extra ocr, which is not installed")
        claimed = instance.text(stamping.BURNED_IN_ANNOTATION).upper() == "YES" and not edit
        with open_frames(instance, description, sandbox=self._sandbox) as frames:
            seen = EditedFrames(frames, description, _seen(edit, description))
            if chosen is not None:
                numbers, some = chosen
                return self._finder.find(ChosenFrames(seen, numbers), some, rule, words, claimed=claimed)
            return self._finder.find(seen, description, rule, words, claimed=claimed)

    def _refuse_words(
        self, instance: Instance, description: PixelDescription, edit: Edit, words: Callable[[], frozenset[str]]
    ) -> None:
        """Hold an image in which a word of its header can be read, whatever a person has decided."""
        if self._finder is None:
            return
        with open_frames(instance, description, sandbox=self._sandbox) as frames:
            seen = EditedFrames(frames, description, _seen(edit, description))
            named = self._finder.named(seen, description, words())
        if named:
            raise _suspected(
                "a word of the header is read in the image, which a person's decision does not let go: mask it, or "
                "reject the instance",
                _areas(named, description),
            )

    def _written(
        self,
        program: Program,
        instance: Instance,
        description: PixelDescription,
        edit: Edit,
        review: Review | None,
        work: Path,
        *,
        looked: bool,
    ) -> PixelOutcome:
        """Write every frame as ``edit`` leaves it, one in memory at a time."""
        adapted = crop.Adapted({}, ())
        if edit.kept is not None:
            adapted = crop.adapted(instance, program, edit.kept, where=edit.because[-1])
        smaller = edit.described(description)
        syntax = output_syntax(program.pixels.encoding, smaller)
        path = work / f"pixels-{secrets.token_hex(8)}"
        try:
            with open_frames(instance, description, sandbox=self._sandbox) as frames:
                edited = EditedFrames(frames, description, edit)
                with FrameWriter(
                    path,
                    smaller,
                    photometric_interpretation=frames.photometric_interpretation,
                    transfer_syntax=syntax,
                    implicit=instance.implicit,
                    sandbox=self._sandbox,
                ) as writer:
                    for number in range(len(frames)):
                        writer.add(edited.cropped(number))
                    elements: dict[int, tuple[Segment, ...] | None] = {
                        **stamping.derived(instance, program, edit),
                        **adapted.elements,
                        **writer.elements(instance, frames),
                    }
            written = _Written(syntax, elements, adapted.items, path)
            return _outcome(program, instance, edit, review, checked=looked, written=written)
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise


def _described(program: Program, instance: Instance, review: Review | None) -> PixelDescription | None:
    """The description of the pixels.

    None if there are none, if they are measurements that no picture shows, or if a person vouches for ones that cannot
    be described.
    """
    try:
        return describe(instance)
    except PixelsUnreadable:
        if all(isinstance(rule, Pass | HoldPixels | FindText) for rule in program.pixels) and is_measured(instance):
            if review is None:
                _hold(program)
            return None
        untouched = all(isinstance(rule, Pass | HoldPixels) for rule in program.pixels)
        if untouched and (_is_declared(program) or (review is not None and review.text and not review.boxes)):
            return None
        raise


def _is_declared(program: Program) -> bool:
    """Whether a rule vouches that no text is burned in."""
    return any(isinstance(rule, Pass) for rule in program.pixels)


def _hold(program: Program) -> None:
    for rule in program.pixels:
        if isinstance(rule, HoldPixels):
            raise HeldByPixelRule(rule=name_of(rule), because=rule.because.rstrip("."))


def _cleans_features(program: Program) -> bool:
    return any(code.value == _CLEAN_FEATURES for code in program.codes)


def _vouched(review: Review | None) -> bool:
    """Whether a person has looked for text."""
    return review is not None and review.text


def _face(
    program: Program,
    instance: Instance,
    review: Review | None,
    settled: Callable[[], bool],
    face_of: Callable[[], Face | None] | None,
) -> Face | None:
    """What was found of a face in the series of an instance, where a rule asks for it; None where nobody looks."""
    if face_of is None or not program.pixels.defaces or not is_part_of_volume(instance):
        return None
    if (review is not None and review.features) or settled():
        return None
    face = face_of()
    if face is None:
        raise WaitsForSeries(reason="some of it may still come, or it has not been looked at yet")
    return face


def _caution_features(
    program: Program,
    instance: Instance,
    review: Review | None,
    settled: Callable[[], bool],
    face: Face | None,
) -> None:
    """Hold what may show a face where the profile claims that nothing does, unless faces were looked for."""
    if face is not None and face.kind in ("blank", "none"):
        return
    if not (_cleans_features(program) or program.pixels.defaces) or (review is not None and review.features):
        return
    if face is not None and face.kind == "doubt":
        raise FeaturesSuspected(reason=face.reason)
    risk = features_risk_of(instance)
    if risk is not None and not settled():
        raise FeaturesSuspected(reason=f"{risk.reason}; {face.reason}" if face is not None else _why(program, risk))


def _why(program: Program, risk: Risk) -> str:
    """Why a face may be recognised, and why nothing takes it away although a rule wants that."""
    if not program.pixels.defaces:
        return risk.reason
    only = "faces are taken out of whole series of CT and MR slices alone"
    return f"{risk.reason}; {only}"


def _claim_faceless(outcome: PixelOutcome, instance: Instance) -> None:
    """Let the output say that no face is recognised: all of its series was treated."""
    change = outcome.change or PixelChange(transfer_syntax=instance.transfer_syntax, elements={})
    elements = {**change.elements, **stamping.faceless(instance)}
    outcome.change = replace(change, elements=elements, features_cleaned=True)
    outcome.reasons = (*outcome.reasons, "its face was taken away")


def _reviewed(edit: Edit, review: Review, description: PixelDescription) -> Edit:
    """The edit with the boxes that a person drew."""
    if not review.boxes:
        return edit
    where = "the review"
    areas = [area_of(box, rows=description.rows, columns=description.columns, where=where) for box in review.boxes]
    drawn = edit.adding(areas, "boxes that a person drew")
    return drawn if edit.kept is None else _inside(drawn, edit.kept)


def _is_overlay_to_clear(
    risk: Risk | None, program: Program, instance: Instance, description: PixelDescription
) -> bool:
    """Whether nothing but an overlay in the unused bits of native pixels makes them suspect, and no rule keeps it."""
    return (
        risk is not None
        and risk.kind == OVERLAY_IN_PIXELS
        and not description.encapsulated
        and not keeps_overlays_in_pixels(program, instance)
    )


def _cleared(instance: Instance, description: PixelDescription, edit: Edit) -> Edit:
    """The edit that clears bits which are no part of a sample, if they hold something."""
    hidden = has_hidden_bits(instance, description)
    return replace(edit, clears=True, because=("bits that are no part of a sample were set",)) if hidden else edit


def _claims_clean(program: Program, instance: Instance) -> bool:
    """Whether the output says that nothing drawn in or over its pixels identifies, whoever looked at them."""
    claims = any(code.value in _CLEAN_DRAWINGS for code in program.codes)
    return claims and not keeps_overlays_in_pixels(program, instance)


def _with_drawings(outcome: PixelOutcome, instance: Instance, drawings: Drawings) -> PixelOutcome:
    """The outcome with what becomes of drawings over the image."""
    if drawings.elements or drawings.unlooked:
        change = outcome.change or PixelChange(transfer_syntax=instance.transfer_syntax, elements={})
        elements = {**change.elements, **drawings.elements}
        outcome.change = replace(change, elements=elements, graphics_unlooked=drawings.unlooked)
        outcome.reasons = (*outcome.reasons, *drawings.because)
    return outcome


def _inside(edit: Edit, kept: Area) -> Edit:
    """The edit without areas that are cut off."""
    inside = tuple(part for area in edit.areas if (part := area.within(kept)) is not None)
    return replace(edit, areas=inside)


def _seen(edit: Edit, description: PixelDescription) -> Edit:
    """The edit as a finder of text sees it: what is cut off is black."""
    if edit.kept is None:
        return edit
    away = outside([edit.kept], rows=description.rows, columns=description.columns)
    return Edit(areas=(*edit.areas, *away), because=edit.because)


def _areas(boxes: Sequence[TextBox], description: PixelDescription) -> tuple[Area, ...]:
    image = Area(0, 0, description.columns, description.rows)
    areas = (Area(box.x, box.y, box.x + box.width, box.y + box.height).within(image) for box in boxes)
    return tuple(area for area in areas if area is not None)


def _suspected(reason: str, boxes: Sequence[Area], left: Sequence[Area] = ()) -> BurnedInTextSuspected:
    """The error that holds an image; its facts tell where text was found, and where it is left after blackening."""
    return BurnedInTextSuspected(
        reason=reason, boxes=tuple(_numbers(area) for area in boxes), left=tuple(_numbers(area) for area in left)
    )


def _numbers(area: Area) -> tuple[int, int, int, int]:
    """An area as people write rectangles: x, y, width, height."""
    return area.left, area.top, area.right - area.left, area.bottom - area.top


def _outcome(
    program: Program,
    instance: Instance,
    edit: Edit,
    review: Review | None,
    *,
    checked: bool,
    unlooked: bool = True,
    written: _Written | None = None,
) -> PixelOutcome:
    said = stamping.checked(instance) if checked else {}
    if not checked and unlooked and not _is_declared(program):
        said.update(stamping.unlooked(instance))
    if not checked and written is None:
        change = PixelChange(transfer_syntax=instance.transfer_syntax, elements=said) if said else None
        return PixelOutcome(change, edit, ())
    reasons = edit.because or (("a person looked at it",) if _vouched(review) else ("no text was found",))
    written = written or _Written(instance.transfer_syntax)
    change = PixelChange(
        transfer_syntax=written.transfer_syntax,
        elements={**written.elements, **said},
        items=written.items,
        cleaned=checked,
    )
    return PixelOutcome(change, edit, reasons, _file=written.file)
