"""The draft of a profile as the YAML text that people go on editing."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Final

from gateway.profile.importers.ctp.model import Draft, Outcome, Phase, PixelMask, Rule

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_WIDTH: Final = 60
_LONGEST_LINE: Final = 119
_HEADINGS: Final = {
    Phase.GROUPS: "What the script says of whole groups; of these the elements that the basic profile keeps.",
    Phase.FALLBACKS: "What could not be carried over, or has no rule for sequence items, and would stay otherwise.",
    Phase.ELEMENTS: "The rules of the script.",
    Phase.CONDITIONAL: "Rules that depend on the instance, and elements that are written where they are missing.",
}
_REASONS: Final = {
    Phase.FALLBACKS: "CTP would do what cannot be said here, or is not safe",
}
_REASON: Final = "so says the CTP script"
#: Actions after which something of the value may stay: that a script says so is no reason.
_REVEALING: Final = frozenset(
    ("clean", "copy", "generalise", "keep", "map", "regex", "shift-date", "truncate-date")
)  # fmt: skip


def write_profile(draft: Draft) -> str:
    """The text of the profile. Of two rules for the same elements and instances the later one is written alone."""
    return "\n".join(_lines(draft)) + "\n"


def quoted(text: str) -> str:
    """``text`` as a YAML scalar that is nothing but text."""
    if _PLAIN.fullmatch(text) and text.lower() not in ("true", "false", "null", "yes", "no", "on", "off"):
        return text
    if any(character < " " for character in text):
        escaped = "".join(
            f"\\x{ord(character):02x}" if character < " " else f"\\{character}" if character in '"\\' else character
            for character in text
        )
        return f'"{escaped}"'
    return "'" + text.replace("'", "''") + "'"


def _decisive(rules: Iterable[Rule]) -> list[Rule]:
    decisive: dict[tuple[str, str, bool], Rule] = {}
    for rule in sorted(rules, key=lambda rule: rule.phase):
        key = (rule.target, rule.when, rule.outcome.top_only)
        decisive.pop(key, None)
        decisive[key] = rule
    return list(decisive.values())


def _lines(draft: Draft) -> Iterator[str]:
    rules = _decisive(draft.rules)
    yield f"# Imported from CTP: {', '.join(draft.sources)}."
    yield "# CTP keeps what its script does not mention; here the basic profile underneath decides on that. Comments"
    yield "# name the line of the script. What stays needs a reason of yours: `gateway profile check` names the rules."
    if draft.not_carried:
        yield f"# Not all is carried over as it was: the import lists {len(draft.not_carried)} things with reasons."
    yield ""
    yield f"profile: {quoted(draft.name)}"
    yield 'version: "1"'
    yield f"describes: {quoted('Imported from CTP: ' + ', '.join(draft.sources))}"
    yield f"use: [{', '.join(draft.use)}]"
    yield from _identity(draft)
    if draft.shift is not None and any(rule.outcome.action == "shift-date" for rule in rules):
        yield ""
        yield "# One shift per patient, computed from the project's secret."
        yield f"dates: {{ shift: per-patient, days: {draft.shift[0]}..{draft.shift[1]} }}"
    elif draft.dates_kept:
        yield ""
        yield "# The script keeps dates."
        yield "dates: unmodified"
    if draft.accept:
        yield ""
        yield "accept:"
        for rule in draft.accept:
            yield from _comment(rule.comment, "  ")
            yield f"  - {rule.decision}: {quoted(rule.condition)}"
            yield f"    because: {quoted(rule.because)}"
    if rules:
        yield ""
        yield "attributes:"
        for phase in Phase:
            yield from _phase(phase, [rule for rule in rules if rule.phase is phase])
    if draft.pixels:
        yield ""
        yield "# CTP takes the first signature that matches; here the areas of all that match are blackened. Every area"
        yield "# has the one column and row more that CTP's ranges include. What nothing matches is held if its kind"
        yield "# often has text burned in."
        yield "pixels:"
        yield from _pixels(draft.pixels)


def _pixels(masks: Iterable[PixelMask]) -> Iterator[str]:
    for mask in masks:
        if mask.rectangles:
            yield from textwrap.wrap(
                f"- mask: [{', '.join(mask.rectangles)}]",
                _LONGEST_LINE,
                initial_indent="  ",
                subsequent_indent=" " * 6,
            )
        else:
            yield "  - hold: true"
        if mask.condition:
            yield f"    when: {quoted(mask.condition)}"
        yield f"    because: {quoted(mask.because)}"


def _identity(draft: Draft) -> Iterator[str]:
    patient = draft.patient
    if patient is None:
        return
    yield ""
    yield "identity:"
    yield "  patient:"
    yield from _comment(patient.comment, "    ")
    yield f"    pseudonym: {patient.pseudonym}"
    if patient.format:
        yield f"    format: {quoted(patient.format)}"
    if patient.table:
        yield f"    table: {quoted(patient.table)}"
        yield "    missing: hold"


def _phase(phase: Phase, rules: list[Rule]) -> Iterator[str]:
    if not rules:
        return
    yield f"  # {_HEADINGS[phase]}"
    if phase is Phase.GROUPS:
        for comment, members in groupby(rules, lambda rule: rule.comment):
            yield from _list(comment, list(members))
        return
    if phase is Phase.CONDITIONAL:
        groups: Iterable[tuple[tuple[object, ...], Iterable[Rule]]] = groupby(rules, _kind)
    else:
        # Rules without conditions name each element once, so that their order means nothing.
        together: dict[tuple[object, ...], list[Rule]] = {}
        for rule in rules:
            together.setdefault(_kind(rule), []).append(rule)
        groups = together.items()
    for _, group in groups:
        yield from _group(list(group))


def _list(comment: str, rules: list[Rule]) -> Iterator[str]:
    """Many elements for one reason, several to a line."""
    yield f"  # {comment}"
    yield f"  - {rules[0].outcome.action}:"
    names = ", ".join(quoted(rule.target) for rule in rules)
    yield from textwrap.wrap(
        f"[{names}]",
        _LONGEST_LINE,
        initial_indent=" " * 6,
        subsequent_indent=" " * 7,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from _because(rules[0].outcome.action, Phase.GROUPS)


def _kind(rule: Rule) -> tuple[object, ...]:
    return rule.outcome.action, rule.outcome.extra, rule.when


def _group(rules: list[Rule]) -> Iterator[str]:
    first = rules[0].outcome
    yield f"  - {first.action}:"
    for rule in rules:
        yield from _target(rule)
    for key, value in first.extra:
        yield f"    {key}: {quoted(value)}"
    if rules[0].when:
        yield f"    when: {quoted(rules[0].when)}"
    yield from _because(first.action, rules[0].phase)


def _because(action: str, phase: Phase) -> Iterator[str]:
    """The reason of a rule. What may let something of the value stay has none that a script could give."""
    if action not in _REVEALING:
        yield f"    because: {_REASONS.get(phase, _REASON)}"


def _target(rule: Rule) -> Iterator[str]:
    value = _value(rule.outcome)
    line = f"      - {quoted(rule.target)}" if value is None else f"      {quoted(rule.target)}: {value}"
    yield f"{line:{_WIDTH}}  # {rule.comment}" if rule.comment else line


def _value(outcome: Outcome) -> str | None:
    if isinstance(outcome.value, Mapping):
        parts = [f"{key}: {quoted(one) if isinstance(one, str) else one}" for key, one in outcome.value.items()]
        return f"{{ {', '.join(parts)} }}"
    return None if outcome.value is None else quoted(outcome.value)


def _comment(text: str, indent: str) -> Iterator[str]:
    if text:
        yield f"{indent}# {text}"
