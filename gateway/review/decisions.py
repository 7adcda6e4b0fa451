"""What people decide about held instances: one function for each action, whoever calls it.

Every function writes what it does, who decided it and why into the audit trail, in the transaction that does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.custody.secret import project_secret
from gateway.deid import ProjectKey
from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.errors import ConfigurationError, FeaturesSuspected, WaitsForSeries
from gateway.ledger import HeldFilter, HeldInstance, Ledger, ReviewRecord
from gateway.pixels.areas import outside
from gateway.review.held_instance import Box, HeldImage, is_about_pixels
from gateway.settings.configuration import Settings
from gateway.treatment import circumstances

__all__ = [
    "Released",
    "Selection",
    "accept_blanking",
    "choose",
    "keep_region",
    "mask",
    "reject",
    "release",
    "retry",
    "which",
]

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
_SIZE: Final = re.compile(r"([0-9]{1,5})x([0-9]{1,5})", re.IGNORECASE)
#: Numbers that a message names.
_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which held instances a person means; what is given narrows the choice.

    Attributes
    ----------
    numbers
        these
    like
        those of the same project, maker, model, rows and columns as this held instance
    series
        those of the series of this held instance
    study
        those of a study: the number of a held instance, or the Study Instance UID as the source has it
    project, code
        those of this project, or held with this code
    device
        those whose maker and model have this in them, whatever the case
    size
        those of this size, columns x rows, such as ``640x480``
    sop_class
        those of this SOP class, by its UID or a part of its name that no other has
    since
        those held at this moment or later
    everything
        all, if nothing else is given
    """

    numbers: tuple[int, ...] = ()
    like: int | None = None
    series: int | None = None
    study: str | None = None
    project: str | None = None
    code: str | None = None
    device: str | None = None
    size: str | None = None
    sop_class: str | None = None
    since: datetime | None = None
    everything: bool = False

    def __bool__(self) -> bool:
        named = (self.like, self.series, self.study, self.project, self.code, self.device, self.size, self.sop_class)
        return bool(self.numbers) or self.everything or self.since is not None or any(one is not None for one in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What became of a release: row ids.

    Attributes
    ----------
    text, features
        released as to text, as to faces
    retried
        held for another reason than their pixels: only tried again
    """

    text: tuple[int, ...]
    features: tuple[int, ...]
    retried: tuple[int, ...]


def which(ledger: Ledger, settings: Settings, selection: Selection) -> HeldFilter:
    """The filter of the ledger for a selection.

    Raises
    ------
    ConfigurationError
        something in it does not exist, or is not held
    LedgerUnavailable
        the ledger cannot be read
    """
    rows = columns = maker = model = None
    project = selection.project
    if selection.size is not None:
        size = _SIZE.fullmatch(selection.size.strip())
        if size is None:
            raise ConfigurationError(place="--size", problem=f"{selection.size} is not COLUMNSxROWS, such as 640x480")
        columns, rows = int(size[1]), int(size[2])
    if selection.like is not None:
        model_one = held_one(ledger, selection.like)
        if not model_one.about.rows:
            problem = f"of instance {selection.like} no image is known, by which others could be like it"
            raise ConfigurationError(place="--like", problem=problem)
        about = model_one.about
        project, maker, model, rows, columns = (
            model_one.project, about.maker, about.model, about.rows, about.columns,
        )  # fmt: skip
    return HeldFilter(
        numbers=selection.numbers or None,
        project=project,
        code=selection.code,
        device=selection.device,
        maker=maker,
        model=model,
        rows=rows,
        columns=columns,
        sop_classes=None if selection.sop_class is None else _sop_classes(selection.sop_class),
        study=None if selection.study is None else _study(ledger, settings, selection.study),
        series=None if selection.series is None else _series(held_one(ledger, selection.series)),
        since=selection.since,
    )


def choose(ledger: Ledger, settings: Settings, selection: Selection) -> list[HeldInstance]:
    """The held instances that a person means, by row id.

    Raises
    ------
    ConfigurationError
        nothing was said, a number is not held, or nothing held is meant
    LedgerUnavailable
        the ledger cannot be read
    """
    if not selection:
        raise ConfigurationError(place="held", problem="say which instances: numbers, a filter, or --all")
    chosen = ledger.holds.instances(which=which(ledger, settings, selection), limit=None)
    missing = sorted(set(selection.numbers) - {one.instance_id for one in chosen})
    if missing:
        raise ConfigurationError(place="held", problem=f"instance {missing[0]} is not held")
    if not chosen:
        raise ConfigurationError(place="held", problem="nothing that is held is meant by this")
    return chosen


def held_one(ledger: Ledger, number: int) -> HeldInstance:
    """The held instance with this number.

    Raises
    ------
    ConfigurationError
        it is not held
    """
    held = ledger.holds.instance(number)
    if held is None:
        raise ConfigurationError(place="held", problem=f"instance {number} is not held")
    return held


def retry(ledger: Ledger, held: Sequence[HeldInstance], *, actor: str, because: str) -> None:
    """Let held instances go through the rules of today; nobody declares anything.

    Raises
    ------
    IllegalTransition
        one is not held any more; nothing was changed
    LedgerUnavailable
        the ledger cannot be written
    """
    ledger.reviews.resume([one.instance_id for one in held], by=actor, because=because)


def release(ledger: Ledger, held: Sequence[HeldInstance], *, actor: str, because: str) -> Released:
    """Take a person's word that nothing in the pixels identifies, of instances that the person was shown.

    A word about a face counts for all of the instance's series. Instances that are held for another reason than their
    pixels are only tried again.

    Raises
    ------
    ConfigurationError
        one was not shown to the person; nothing was changed
    IllegalTransition
        one is not held any more; nothing was changed
    LedgerUnavailable
        the ledger cannot be written
    """
    pixels = [one for one in held if is_about_pixels(one.code)]
    others = [one.instance_id for one in held if not is_about_pixels(one.code)]
    chosen = {one.instance_id: one for one in pixels}
    for one in pixels:
        if _is_about_features(one) and _series_of(one) is not None:
            rest = ledger.holds.instances(which=HeldFilter(series=_series(one), code=one.code), limit=None)
            chosen |= {other.instance_id: other for other in rest}
    seen = ledger.holds.viewed(list(chosen), by=actor)
    # Of a series that is held for faces one slice is enough.
    seen_series = {_series_of(chosen[number]) for number in seen if _is_about_features(chosen[number])} - {None}
    unseen = [
        number
        for number, one in sorted(chosen.items())
        if number not in seen and not (_is_about_features(one) and _series_of(one) in seen_series)
    ]
    if unseen:
        problem = (
            f"{_numbers(unseen)} not shown to you: look first (gateway held image, held sheet or held show); "
            "gateway held retry lets instances go through the rules of today without your word"
        )
        raise ConfigurationError(place="held release", problem=problem)
    ledger.reviews.record_all(
        [
            ReviewRecord(
                instance_id=number,
                decision="release",
                boxes=(),
                actor=actor,
                because=because,
                text=not _is_about_features(one),
                features=_is_about_features(one),
            )
            for number, one in sorted(chosen.items())
        ]
    )
    if others:
        ledger.reviews.resume(others, by=actor, because=because)
    return Released(
        text=tuple(number for number, one in sorted(chosen.items()) if not _is_about_features(one)),
        features=tuple(number for number, one in sorted(chosen.items()) if _is_about_features(one)),
        retried=tuple(others),
    )


def mask(
    ledger: Ledger,
    held: Sequence[HeldInstance],
    *,
    added: Sequence[Box],
    image: HeldImage | None = None,
    without: Iterable[int] = (),
    actor: str,
    because: str,
) -> dict[int, tuple[Box, ...]]:
    """Blacken boxes on all frames and let the instances go on: of each those found in it, and ``added``.

    Parameters
    ----------
    ledger
        of the gateway
    held
        instances held for their pixels
    added
        further boxes, in pixels of each image
    image
        of a single instance what a look at it found just now; of others what was found when they were held counts
    without
        numbers of boxes of ``image`` that stay
    actor, because
        who decides that, and why

    Returns
    -------
    Row id -> the boxes.

    Raises
    ------
    ConfigurationError
        one is not held for its pixels, a box is outside, or none is left; nothing was changed
    IllegalTransition
        one is not held any more; nothing was changed
    LedgerUnavailable
        the ledger cannot be written
    """
    boxes: dict[int, tuple[Box, ...]] = {}
    for one in held:
        _require_pixels(one, "held mask")
        try:
            if image is not None:
                boxes[one.instance_id] = image.boxes(added=added, without=without)
            else:
                boxes[one.instance_id] = _known_boxes(one, added)
        except ValueError as error:
            raise ConfigurationError(place="held mask", problem=f"instance {one.instance_id}: {error}") from None
    _record_masks(ledger, boxes, actor=actor, because=because)
    return boxes


def keep_region(
    ledger: Ledger, held: Sequence[HeldInstance], *, regions: Sequence[Box], actor: str, because: str
) -> dict[int, tuple[Box, ...]]:
    """Blacken everything outside ``regions`` on all frames, and let the instances go on.

    Returns and raises as ``mask``.
    """
    boxes: dict[int, tuple[Box, ...]] = {}
    for one in held:
        _require_pixels(one, "held keep-region")
        rows, columns = one.about.rows, one.about.columns
        problem = next((text for region in regions if (text := region.misfit(rows=rows, columns=columns))), None)
        if not regions:
            problem = "say which region stays"
        areas = () if problem else outside([region.area for region in regions], rows=rows, columns=columns)
        if not problem and not areas:
            problem = "the regions are all of the image: release it if nothing has to be blackened"
        if problem:
            raise ConfigurationError(place="held keep-region", problem=f"instance {one.instance_id}: {problem}")
        boxes[one.instance_id] = tuple(map(Box.of, areas))
    _record_masks(ledger, boxes, actor=actor, because=because)
    return boxes


def accept_blanking(ledger: Ledger, one: HeldInstance, *, actor: str, because: str) -> int:
    """Take a person's word that what was found of the face of a series suffices, of a series that the person was shown.

    Returns
    -------
    How many of its instances are blanked.

    Raises
    ------
    ConfigurationError
        nothing was found in it that could be blanked, or it was not shown to the person
    LedgerUnavailable
        the ledger cannot be written
    """
    series = _series_of(one)
    if one.code != FeaturesSuspected.code or series is None:
        problem = f"instance {one.instance_id} is held by {one.code}: no face was found in its series"
        raise ConfigurationError(place="held deface", problem=problem)
    rest = ledger.holds.instances(which=HeldFilter(series=(series,), code=one.code), limit=None)
    if not ledger.holds.viewed([other.instance_id for other in rest], by=actor):
        problem = f"the series of instance {one.instance_id} was not shown to you: look first (gateway held preview)"
        raise ConfigurationError(place="held deface", problem=problem)
    count = ledger.faces.accept(*series, actor=actor, because=because)
    if not count:
        problem = f"in the series of instance {one.instance_id} nothing was found that could be blanked"
        raise ConfigurationError(place="held deface", problem=problem)
    return count


def reject(ledger: Ledger, held: Sequence[HeldInstance], *, actor: str, because: str) -> None:
    """Keep instances out for good.

    Raises
    ------
    IllegalTransition
        one is not held any more; nothing was changed
    LedgerUnavailable
        the ledger cannot be written
    """
    ledger.reviews.reject([one.instance_id for one in held], by=actor, because=because)


def _record_masks(ledger: Ledger, boxes: dict[int, tuple[Box, ...]], *, actor: str, because: str) -> None:
    ledger.reviews.record_all(
        [
            ReviewRecord(
                instance_id=number,
                decision="mask",
                boxes=tuple(box.numbers for box in areas),
                actor=actor,
                because=because,
                features=False,
            )
            for number, areas in boxes.items()
        ]
    )


def _known_boxes(one: HeldInstance, added: Sequence[Box]) -> tuple[Box, ...]:
    about = one.about
    if not about.rows:
        raise ValueError("the image cannot be read, so that nothing in it can be blackened")
    for box in added:
        problem = box.misfit(rows=about.rows, columns=about.columns)
        if problem:
            raise ValueError(problem)
    boxes = tuple(dict.fromkeys((*(Box(*numbers) for numbers in (*about.boxes, *about.left)), *added)))
    if not boxes:
        raise ValueError("no text was found when it was held: say a box")
    return boxes


def _require_pixels(one: HeldInstance, place: str) -> None:
    if not is_about_pixels(one.code):
        problem = f"instance {one.instance_id} is held by {one.code}: boxes do not settle that"
        raise ConfigurationError(place=place, problem=problem)


def _is_about_features(one: HeldInstance) -> bool:
    return one.code in (FeaturesSuspected.code, WaitsForSeries.code)


def _series_of(one: HeldInstance) -> tuple[str, str] | None:
    return (one.project, one.about.series_key) if one.project is not None and one.about.series_key else None


def _series(one: HeldInstance) -> tuple[tuple[str, str], ...]:
    series = _series_of(one)
    if series is None:
        raise ConfigurationError(place="--series", problem=f"the series of instance {one.instance_id} is not known")
    return (series,)


def _study(ledger: Ledger, settings: Settings, text: str) -> tuple[tuple[str, str], ...]:
    if text.isdecimal():
        one = held_one(ledger, int(text))
        if one.project is None or not one.about.study_key:
            raise ConfigurationError(place="--study", problem=f"the study of instance {text} is not known")
        return ((one.project, one.about.study_key),)
    if not _UID.fullmatch(text):
        problem = f"{text} is neither the number of a held instance nor a Study Instance UID"
        raise ConfigurationError(place="--study", problem=problem)
    return tuple(
        (name, circumstances.study_key(ProjectKey(project_secret(settings, name, create=False)), text))
        for name in settings.projects
    )


def _sop_classes(text: str) -> tuple[str, ...]:
    """The SOP class with this UID, those of this name (a retired one may share it), or the one with it in its name."""
    if _UID.fullmatch(text):
        return (text,)
    wanted = "".join(text.lower().split()).removesuffix("storage")
    names = {
        uid: "".join(name.lower().replace("(retired)", "").split()).removesuffix("storage")
        for uid, name in STORAGE_SOP_CLASSES.items()
    }
    uids = tuple(uid for uid, name in names.items() if name == wanted)
    uids = uids or tuple(uid for uid, name in names.items() if wanted in name)
    if len({names[uid] for uid in uids}) != 1:
        some = ", ".join(STORAGE_SOP_CLASSES[uid] for uid in uids[:_NAMED])
        problem = f"{text} may be one of several: {some}" if uids else f"no SOP class is called so: {text}"
        raise ConfigurationError(place="--sop-class", problem=problem)
    return uids


def _numbers(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} others" if len(numbers) > _NAMED else ""
    return f"instance{'s' if len(numbers) > 1 else ''} {shown}{more} {'were' if len(numbers) > 1 else 'was'}"
