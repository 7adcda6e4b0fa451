"""A pixel rule for a device, written from what is held of it, and tried on that before anybody uses it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.errors import ConfigurationError, InstanceError
from gateway.extras import ocr
from gateway.ledger import HeldFilter, HeldInstance, Ledger
from gateway.pixels.areas import Area
from gateway.profile import shipped_profiles
from gateway.profile.check import check_profile
from gateway.profile.pixel_program import FindText, KeepRegion, Mask, PixelProgram, PixelRule, Rectangle
from gateway.profile.program import Origin
from gateway.review.decisions import held_one
from gateway.review.held_instance import Box, ReviewTable, is_about_pixels

__all__ = ["ProposedRule", "add_to_profile", "propose"]

#: Images in which text is looked for, and on which the rule is tried, at most; they are spread over all that are alike.
_LOOKED_AT: Final = 8
_TRIED: Final = 40
#: Pixels around text, and the part of its width by which another name may be longer.
_MARGIN: Final = 8
_LONGER: Final = 3
_ORIGIN: Final = Origin("proposed", "", "", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedRule:
    """A rule, and what it would do.

    Attributes
    ----------
    profile
        as the configuration names the profile of the project
    text
        the entries of ``pixels``, as a profile writes them
    boxes
        what is blackened, or with ``keeps`` what stays
    keeps
        whether the boxes stay, and all else is blackened
    alike
        row ids of the held instances that it is about
    tried
        on how many of them it was tried
    frees
        how many of these would go on as far as their pixels are concerned
    stays
        why the others stay held -> how many of them
    """

    profile: str
    text: str
    boxes: tuple[Box, ...]
    keeps: bool
    alike: tuple[int, ...]
    tried: int
    frees: int
    stays: Counter[str] = field(default_factory=Counter)


def propose(
    ledger: Ledger,
    table: ReviewTable,
    number: int,
    *,
    boxes: Sequence[Box] = (),
    keeps: bool = False,
    search: bool = True,
    because: str,
) -> ProposedRule:
    """Write the pixel rule for images like a held one, and try it on those that are held.

    Parameters
    ----------
    ledger, table
        of the gateway
    number
        the held instance
    boxes
        what is blackened; without any, where text was found in images like it, with a margin for longer names
    keeps
        whether ``boxes`` stay and all else is blackened
    search
        whether what is left is searched for text as well, where the profile does not do so already
    because
        the reason that the rule has

    Raises
    ------
    ConfigurationError
        it is not held for its pixels, its device is not known, or there is nothing to blacken
    LedgerUnavailable, SpoolUnavailable, DecoderUnavailable
        it may work later
    ProfileError
        the profile of its project has an error
    """
    one = held_one(ledger, number)
    about = one.about
    if not is_about_pixels(one.code) or not about.rows:
        problem = f"instance {number} is held by {one.code}: a pixel rule does not settle that"
        raise ConfigurationError(place="held rule", problem=problem)
    like = HeldFilter(project=one.project, maker=about.maker, model=about.model, rows=about.rows, columns=about.columns)
    alike = [other for other in ledger.holds.instances(which=like, limit=None) if is_about_pixels(other.code)]
    for box in boxes:
        problem = box.misfit(rows=about.rows, columns=about.columns) or ""
        if problem:
            raise ConfigurationError(place="--box", problem=problem)
    chosen = tuple(boxes) or _text_of(table, alike, rows=about.rows, columns=about.columns)
    if not chosen:
        problem = "no text was found in images like it: say with --box what is blackened"
        raise ConfigurationError(place="held rule", problem=problem)
    rectangles = tuple(Rectangle(*box.numbers) for box in chosen)
    kind = KeepRegion if keeps else Mask
    rules: list[PixelRule] = [kind(rectangles=rectangles, because=because, origin=_ORIGIN)]
    try:
        searched = search and ocr.missing() is None and not table.searches(one)
    except InstanceError as error:
        raise ConfigurationError(place="held rule", problem=f"instance {number}: {error.message}") from None
    if searched:
        rules.append(FindText(because=because, origin=_ORIGIN))
    tried = _spread(alike, _TRIED)
    reasons = [table.try_out(other, lambda known: PixelProgram((*known, *rules))) for other in tried]
    return ProposedRule(
        profile=table.profile(one),
        text=_written(one, chosen, keeps=keeps, searched=searched, because=because),
        boxes=chosen,
        keeps=keeps,
        alike=tuple(other.instance_id for other in alike),
        tried=len(tried),
        frees=sum(reason is None for reason in reasons),
        stays=Counter(reason for reason in reasons if reason is not None),
    )


def add_to_profile(path: Path, text: str) -> None:
    """Add entries at the end of ``pixels`` of a profile's file, which stays as it is if the result has an error.

    Raises
    ------
    ConfigurationError
        the file cannot be written, its rules are written on one line, or the result has an error
    """
    if path.resolve().parent == shipped_profiles().resolve():
        problem = "a shipped profile is not changed: write one of your own that uses it, and name that in the project"
        raise ConfigurationError(place=str(path), problem=problem)
    try:
        before = path.read_text(encoding="utf-8")
        path.write_text(_added(before, text, path), encoding="utf-8")
        errors = check_profile(path, search=(path.parent,)).errors
        if errors:
            path.write_text(before, encoding="utf-8")
            raise ConfigurationError(place=str(path), problem=f"the rule does not fit in: {errors[0]}")
    except OSError as error:
        raise ConfigurationError(place=str(path), problem=f"cannot be written: {error.strerror}") from None


def _added(content: str, text: str, path: Path) -> str:
    lines = content.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("pixels:")), None)
    if first is None:
        return f"{content.rstrip()}\n\npixels:\n{text}"
    if lines[first].partition(":")[2].partition("#")[0].strip():
        raise ConfigurationError(place=f"{path}:{first + 1}", problem="write the rules below each other to add one")
    end = next(
        (number for number in range(first + 1, len(lines)) if lines[number][:1] not in ("", " ", "#", "-")), len(lines)
    )
    while not lines[end - 1].strip() or lines[end - 1].startswith("#"):
        end -= 1
    indent = next((line[: len(line) - len(line.lstrip())] for line in lines[first + 1 : end] if line.strip()), "  ")
    added = [indent + line[2:] if line.startswith("  ") else line for line in text.splitlines()]
    return "\n".join([*lines[:end], *added, *lines[end:]]) + "\n"


def _text_of(table: ReviewTable, alike: Sequence[HeldInstance], *, rows: int, columns: int) -> tuple[Box, ...]:
    """Where text is in images like each other."""
    known = [Box(*numbers) for one in alike for numbers in (*one.about.boxes, *one.about.left)]
    if not known and ocr.missing() is None:
        search = PixelProgram((FindText(origin=_ORIGIN),))
        for one in _spread(alike, _LOOKED_AT):
            try:
                known += table.found_by(one, search)
            except InstanceError:
                continue
    image = Area(0, 0, columns, rows)
    grown = (
        Area(
            box.x - _MARGIN,
            box.y - _MARGIN,
            box.x + box.width + max(_MARGIN, box.width // _LONGER),
            box.y + box.height + _MARGIN,
        ).within(image)
        for box in known
    )
    return tuple(map(Box.of, _joined(area for area in grown if area is not None)))


def _joined(areas: Iterable[Area]) -> list[Area]:
    """Areas that overlap as the smallest ones that hold them."""
    joined: list[Area] = []
    for area in sorted(areas):
        whole = area
        while True:
            other = next((one for one in joined if one.within(whole) is not None), None)
            if other is None:
                break
            joined.remove(other)
            whole = Area(
                min(whole.left, other.left),
                min(whole.top, other.top),
                max(whole.right, other.right),
                max(whole.bottom, other.bottom),
            )
        joined.append(whole)
    return sorted(joined, key=lambda area: (area.top, area.left))


def _spread(held: Sequence[HeldInstance], most: int) -> list[HeldInstance]:
    """At most so many, from the first to the last."""
    if len(held) <= most:
        return list(held)
    return [held[number * (len(held) - 1) // (most - 1)] for number in range(most)]


def _written(one: HeldInstance, boxes: Sequence[Box], *, keeps: bool, searched: bool, because: str) -> str:
    about = one.about
    device = [
        f"{keyword} == {json.dumps(value, ensure_ascii=False)}"
        for keyword, value in (("Manufacturer", about.maker), ("ManufacturerModelName", about.model))
        if value
    ]
    if not device:
        device = [f'SOPClassUID == "{one.sop_class_uid}"', 'Manufacturer == ""', 'ManufacturerModelName == ""']
    condition = " && ".join((*device, f"Rows == {about.rows}", f"Columns == {about.columns}"))
    rectangles = ", ".join(f"[{', '.join(map(str, box.numbers))}]" for box in boxes)
    about_it = [f"    when: {_quoted(condition)}", f"    because: {_quoted(because)}"]
    lines = [f"  - {'keep-region' if keeps else 'mask'}: [{rectangles}]", *about_it]
    if searched:
        lines += ["  - find-text: {blank: all, when-unsure: hold}", *about_it]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text as YAML writes it in single quotes, on one line."""
    return "'" + " ".join(text.split()).replace("'", "''") + "'"
