"""What changes in meaning between two programs: not the text of their files, but what becomes of instances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.dicom.dictionary import VR_OF
from gateway.dicom.tag import show
from gateway.profile.element import ElementName
from gateway.profile.explain import candidates
from gateway.profile.pixel_program import PixelProgram, PixelRule
from gateway.profile.pixel_wording import pixels_in_words
from gateway.profile.program import AcceptRule, Action, Program
from gateway.profile.wording import (
    OUTCOMES,
    codes_in_words,
    dates_in_words,
    in_words,
    is_patient_pseudonym,
    path_name,
    patient_in_words,
    pattern_name,
    private_name,
    times_in_words,
)

__all__ = ["Change", "Difference", "compare"]

#: Groups that a data set does not hold.
_FIRST_GROUP: Final = 0x0008


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: an element, or a setting of the whole profile; empty where a profile has nothing."""

    name: str
    tag: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two programs.

    Attributes
    ----------
    settings
        identity, dates, options and the like
    elements
        elements of the standard, in tag order
    places
        patterns, paths, private elements and defaults
    accept
        the rules that decide which instances go on
    """

    settings: tuple[Change, ...]
    elements: tuple[Change, ...]
    places: tuple[Change, ...]
    accept: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.settings or self.elements or self.places or self.accept)


def compare(before: Program, after: Program) -> Difference:
    """Compare two programs.

    Returns
    -------
    Every difference that can change an output. Name, version, reasons and places of rules are none.
    """
    return Difference(
        settings=tuple(_settings(before, after)),
        elements=tuple(_elements(before, after)),
        places=tuple(_places(before, after)),
        accept=tuple(_accept(before.accept, after.accept)),
    )


def _settings(before: Program, after: Program) -> Iterator[Change]:
    yield from _changed("patient", patient_in_words(before), patient_in_words(after), _patient(before), _patient(after))
    yield from _changed("dates", dates_in_words(before), dates_in_words(after))
    yield from _changed("times of day", times_in_words(before), times_in_words(after))
    yield from _changed("where clean is unsure", before.when_unsure, after.when_unsure)
    yield from _sets("option", codes_in_words(before.codes), codes_in_words(after.codes))
    yield from _sets("word that clean keeps", before.vocabulary, after.vocabulary)
    yield from _pixels(before.pixels, after.pixels)


def _pixels(before: PixelProgram, after: PixelProgram) -> Iterator[Change]:
    one, other = ([_pixel_rule(rule) for rule in pixels] for pixels in (before, after))
    yield from _sets("pixel rule", one, other)
    if sorted(one) == sorted(other) and one != other:
        yield Change("order of the pixel rules", "", " -> ".join(one), " -> ".join(other))


def _pixel_rule(rule: PixelRule) -> str:
    condition = "" if rule.condition is None else f"if {rule.condition.text}: "
    return f"{condition}{pixels_in_words(rule)}"


def _patient(program: Program) -> object:
    return program.identity


def _changed(name: str, before: str, after: str, one: object = None, other: object = None) -> Iterator[Change]:
    if before != after:
        yield Change(name, "", before, after)
    elif one != other:
        # Told apart by what words do not show, such as the rows of a table.
        yield Change(name, "", before, f"{after} (with other content)")


def _sets(name: str, before: Iterable[str], after: Iterable[str]) -> Iterator[Change]:
    one, other = set(before), set(after)
    for text in sorted(one ^ other):
        yield Change(name, "", text if text in one else "", text if text in other else "")


def _elements(before: Program, after: Program) -> Iterator[Change]:
    for tag in sorted({*VR_OF, *before.actions, *after.actions, *before.rules, *after.rules}):
        if tag >> 16 < _FIRST_GROUP:
            continue
        element = ElementName((), tag)
        one, other = _effect(before, element), _effect(after, element)
        if one != other:
            yield Change(element.name, show(tag), *one.against(other))


def _places(before: Program, after: Program) -> Iterator[Change]:
    for name, one, other in (
        ("private elements", before.private, after.private),
        ("unknown elements", before.unknown, after.unknown),
        ("elements that no rule names", before.unlisted, after.unlisted),
    ):
        if _meaning(one) != _meaning(other):
            yield Change(name, "", in_words(one), in_words(other))
    yield from _changed("private elements known to be safe", *(_safe(one) for one in (before, after)))
    groups = (
        [(pattern_name(one), one.action) for one in before.patterns],
        [(pattern_name(one), one.action) for one in after.patterns],
    )
    yield from _named(*groups)
    yield from _named(
        [(path_name(one), one.action) for one in before.paths], [(path_name(one), one.action) for one in after.paths]
    )
    yield from _named(
        [(private_name(one), one.action) for one in before.private_elements],
        [(private_name(one), one.action) for one in after.private_elements],
    )


def _safe(program: Program) -> str:
    return "stay" if program.safe_private else "are treated like other private elements"


def _named(before: list[tuple[str, Action]], after: list[tuple[str, Action]]) -> Iterator[Change]:
    names = dict.fromkeys(name for name, _ in (*before, *after))
    for name in names:
        one = _Effect.of([action for its_name, action in before if its_name == name])
        other = _Effect.of([action for its_name, action in after if its_name == name])
        if one != other:
            yield Change(name, "", *one.against(other))


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a list of candidates means: (condition, verb, value, options) of each, and how it is said."""

    meaning: tuple[object, ...]
    words: str

    @classmethod
    def of(cls, actions: Iterable[Action], pseudonym: str = "") -> _Effect:
        all_actions = list(actions)
        words = "; ".join(
            (f"if {action.when.text}: " if action.when is not None else "otherwise " if number else "")
            + (pseudonym or in_words(action))
            for number, action in enumerate(all_actions)
        )
        return cls(tuple(_meaning(action) for action in all_actions), words)

    def against(self, other: _Effect) -> tuple[str, str]:
        """Both in words, told apart."""
        return self.words, other.words if self.words != other.words else f"{other.words} (with other content)"


def _effect(program: Program, element: ElementName) -> _Effect:
    actions = candidates(program, element)
    # Where the pseudonym comes from is a setting of the whole profile.
    if all(is_patient_pseudonym(element.tag, action) for action in actions):
        return _Effect(("patient",), "is replaced by the patient's pseudonym")
    return _Effect.of(actions)


def _meaning(action: Action) -> tuple[object, ...]:
    return ("" if action.when is None else action.when.text, action.verb, action.value, action.options)


def _accept(before: tuple[AcceptRule, ...], after: tuple[AcceptRule, ...]) -> Iterator[Change]:
    one = [(rule.condition.text, rule.decision) for rule in before]
    other = [(rule.condition.text, rule.decision) for rule in after]
    if one == other:
        return
    known = dict.fromkeys(text for text, _ in (*one, *other))
    for text in known:
        was = [OUTCOMES[decision] for stated, decision in one if stated == text]
        becomes = [OUTCOMES[decision] for stated, decision in other if stated == text]
        if was != becomes:
            yield Change(f"if {text}", "", "; ".join(was), "; ".join(becomes))
    kept = [text for text, _ in one if text in dict(other)]
    if kept != [text for text, _ in other if text in dict(one)]:
        yield Change("order of the accept rules", "", " -> ".join(kept), " -> ".join(text for text, _ in other))
