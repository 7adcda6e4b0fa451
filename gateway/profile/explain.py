"""Why an element is treated as it is: every rule that may apply to it, strongest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.dicom.dictionary import entry
from gateway.dicom.iod import element_type, is_known_sop_class
from gateway.dicom.tag import (
    PIXEL_DATA,
    is_beyond_repeating,
    is_group_length,
    is_private,
    is_private_creator,
    show,
)
from gateway.errors import ConfigurationError
from gateway.profile.element import ElementName
from gateway.profile.pixel_wording import key_of, pixels_in_words
from gateway.profile.program import Action, Program
from gateway.profile.retained import retaining
from gateway.profile.safe_private import SAFE_PRIVATE
from gateway.profile.verb import Verb, resolve
from gateway.profile.verb_options import Believing
from gateway.profile.wording import VERBS, in_words, is_patient_pseudonym, patient_in_words, place_of

__all__ = ["Explanation", "Reason", "candidates", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One rule that may decide about an element.

    Attributes
    ----------
    words
        what becomes of the element, as the rest of a sentence
    verb
        the action as the profile writes it
    when
        the condition under which the rule applies, empty if it always does
    layer
        name of the profile that holds the rule
    clause
        clause of the standard that the rule follows
    place
        file and line of the rule
    because
        the rule's reason in the words of its author
    types
        for an action that depends on the attribute's Type: (Type, what it becomes then)
    """

    words: str
    verb: str
    when: str
    layer: str
    clause: str
    place: str
    because: str
    types: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What happens to an element and why.

    Attributes
    ----------
    element
        the element as profiles write it, with its path
    tag
        its tag as the standard writes it
    vr, title
        VR and name of the dictionary; empty where it has none
    element_type
        its Type in the IOD asked for, empty if none was
    reasons
        the rules that may apply, strongest first; the last one applies where no condition before it holds. Of
        Pixel Data the pixel rules come first, all of which count that apply
    """

    element: str
    tag: str
    vr: str
    title: str
    element_type: str
    reasons: tuple[Reason, ...]


def explain(program: Program, element: ElementName, *, sop_class_uid: str = "") -> Explanation:
    """Explain what ``program`` does to an element.

    Parameters
    ----------
    program
        a program with its conditions
    element
        the element and its place
    sop_class_uid
        if given, actions that depend on the Type are decided for the IOD of this SOP class

    Raises
    ------
    ConfigurationError
        nothing is known of the SOP class
    """
    if sop_class_uid and not is_known_sop_class(sop_class_uid):
        raise ConfigurationError(
            place="--sop-class", problem=f"{sop_class_uid} is no storage SOP class of the standard"
        )
    row = entry(element.tag)
    known_type = element_type(sop_class_uid, element.path, element.tag) if sop_class_uid else None
    return Explanation(
        element=str(element),
        tag=show(element.tag),
        vr=row.vr if row is not None else "",
        title=row.name if row is not None else "",
        element_type=known_type or "",
        reasons=tuple(_reasons(program, element, sop_class_uid)),
    )


def candidates(program: Program, element: ElementName) -> tuple[Action, ...]:
    """The actions that may apply to ``element``, strongest first; the last one has no condition."""
    actions: list[Action] = []
    for action in sorted(_candidates(program, element), key=lambda action: -action.rank):
        if action not in actions:
            actions.append(action)
        if action.when is None:
            break
    return tuple(actions)


def _candidates(program: Program, element: ElementName) -> Iterator[Action]:
    """All of them; those of one rank in the order in which they count."""
    tag, path = element.tag, element.path
    if is_group_length(tag) or (is_beyond_repeating(tag) and tag not in program.actions):
        yield program.action(tag)
        return
    if not path:
        yield from (action for one, action in program.inserts if one == tag)
    yield from (rule.action for rule in program.paths if rule.matches(path, tag))
    if is_private(tag):
        yield from _private(program, element)
    elif tag in program.rules or tag in program.actions:
        yield from program.rules.get(tag) or (program.actions[tag],)
    else:
        for pattern in program.patterns:
            if pattern.matches(tag):
                yield pattern.action
        default = program.action(tag)
        if default == program.unlisted:
            yield from program.defaults.get("unlisted", ())
        elif default == program.unknown:
            yield from program.defaults.get("unknown", ())
        yield default


def _private(program: Program, element: ElementName) -> Iterator[Action]:
    creator = element.creator.upper()
    if creator and not is_private_creator(element.tag):
        yield from (rule.action for rule in program.private_elements if rule.matches(element.tag, creator))
    yield from program.defaults.get("private", ())
    yield program.private


def _reasons(program: Program, element: ElementName, sop_class_uid: str) -> Iterator[Reason]:
    if element.tag == PIXEL_DATA and not element.path:
        yield from _pixel_reasons(program)
    for action in candidates(program, element):
        safe = program.safe
        if safe is not None and action == program.private and not is_private_creator(element.tag):
            when = _when_safe(element, believes=isinstance(safe.options, Believing))
            if when:
                yield replace(_reason(program, element, safe, sop_class_uid=sop_class_uid), when=when)
        yield _reason(program, element, action, sop_class_uid=sop_class_uid)


def _pixel_reasons(program: Program) -> Iterator[Reason]:
    """The pixel rules, in their order: all that apply to an instance count together."""
    for rule in program.pixels:
        yield Reason(
            words=pixels_in_words(rule),
            verb=key_of(rule),
            when="" if rule.condition is None else rule.condition.text,
            layer=rule.origin.layer,
            clause=rule.origin.clause,
            place=place_of(rule.origin),
            because=rule.because,
            types=(),
        )


def _when_safe(element: ElementName, *, believes: bool) -> str:
    """When a private element counts as safe, empty for never: what the instance says against its own always counts."""
    if not element.creator:
        return (
            "the standard or the instance's own (0008,0300) calls it safe" if believes else "the standard calls it safe"
        )
    listed = (element.tag >> 16, element.tag & 0xFF, element.creator.upper()) in SAFE_PRIVATE
    if not listed and not believes:
        return ""
    said = "says nothing else" if listed else "calls it safe"
    return f"the instance's own (0008,0300) {said}"


def _reason(program: Program, element: ElementName, action: Action, *, sop_class_uid: str) -> Reason:
    pseudonym = is_patient_pseudonym(element.tag, action) and not element.path
    action = retaining(program, element.tag, action)
    return Reason(
        words=f"is replaced by {patient_in_words(program)}" if pseudonym else in_words(action),
        verb=action.verb.value,
        when="" if action.when is None else action.when.text,
        layer=action.origin.layer,
        clause=action.origin.clause,
        place=place_of(action.origin),
        because=action.because,
        types=() if pseudonym else _types(action.verb, element, sop_class_uid),
    )


def _types(verb: Verb, element: ElementName, sop_class_uid: str) -> tuple[tuple[str, str], ...]:
    if not verb.is_compound:
        return ()
    if sop_class_uid:
        known_type = element_type(sop_class_uid, element.path, element.tag)
        return ((f"Type {known_type}" if known_type else "no Type known", VERBS[resolve(verb, known_type)]),)
    return tuple((f"Type {one}", VERBS[resolve(verb, one)]) for one in ("1", "2", "3"))
