"""A profile as a document for a data protection impact assessment (GDPR article 35)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.dicom.dictionary import VR_OF, entry
from gateway.pixels.looking import Fate, Kind, in_lines, kinds
from gateway.profile import Action, Program, Verb, load_profile
from gateway.profile.element import ElementName, show_element
from gateway.profile.explain import candidates
from gateway.profile.load import Loaded
from gateway.profile.own_rules import own_rules
from gateway.profile.pixel_wording import pixels_in_words
from gateway.profile.wording import (
    IDENTIFIED,
    OUTCOMES,
    VERBS,
    codes_in_words,
    dates_in_words,
    in_words,
    is_patient_pseudonym,
    names_in_words,
    path_name,
    pattern_name,
    place_of,
    private_name,
    times_in_words,
)
from gateway.rehearsal.document import Block, Document, Section, Table
from gateway.rehearsal.profile_tests import Trial, run_tests
from gateway.version import SOFTWARE

__all__ = ["report"]

_BASIC: Final = "basic"
#: Clean Pixel Data Option (PS3.16 CID 7050).
_CLEAN_PIXELS: Final = "113101"
#: Verb -> the part of the document that its elements stand in.
_STAYS: Final = "What stays"
_GOES: Final = "What is removed"
_CHANGES: Final = "What is changed"
_PART: Final = {
    Verb.KEEP: _STAYS,
    Verb.REMOVE: _GOES,
    Verb.EMPTY: _GOES,
    Verb.REMOVE_OR_EMPTY: _GOES,
}
_CODE: Final = frozenset(("element", "condition", "rule"))


def report(loaded: Loaded) -> Document:
    """The document about a profile, with the results of its tests, which are run for it."""
    program = loaded.program
    layers = [layer.name for layer in loaded.layers]
    sections = (
        _summary(program, loaded.layers[-1].model.describes),
        _method(program, layers),
        _accept(program),
        _pixels(program),
        _own(program),
        _options(program, layers),
        *_parts(program),
        _rest(program),
        _tests(run_tests(program)),
        _limits(program),
    )
    return Document(
        title=f"De-identification profile {program.profile}",
        subtitle=f"Version {program.version}, digest {program.digest}; written by {SOFTWARE}",
        sections=tuple(section for section in sections if section.blocks),
    )


def _summary(program: Program, describes: str) -> Section:
    parts = Counter(_part(program, tag) for tag in _tags(program))
    text = (
        "The profile says what becomes of every element of a DICOM instance before it leaves. It decides about "
        f"{sum(parts.values())} elements by name: {parts[_GOES]} are removed or emptied, {parts[_CHANGES]} changed, "
        f"{parts[_STAYS]} stay."
    )
    blocks: list[Block] = [IDENTIFIED] if program.identified else []
    blocks += [describes] if describes else []
    blocks += [
        text,
        [
            *names_in_words(program),
            f"Dates: {dates_in_words(program)}.",
            f"Times: {times_in_words(program)}.",
            f"Private elements, as a whole: {_default(program.private, safe=program.safe_private)}.",
            f"Elements that the standard does not define: {_default(program.unknown)}.",
            f"The other {_unnamed(program)} elements of the standard: {_default(program.unlisted)}.",
            "Where free text cannot be judged or a date not be read: "
            + ("the instance is held for a person." if program.when_unsure == "hold" else "it is removed."),
        ],
    ]
    return Section("Summary", tuple(blocks))


def _unnamed(program: Program) -> int:
    """How many elements of the standard no rule names, groups that are no part of a data set left out."""
    return sum(program.action(tag) == program.unlisted for tag in VR_OF)


def _default(action: Action, *, safe: bool = False) -> str:
    what = {Verb.KEEP: "stay", Verb.REMOVE: "are removed"}.get(action.verb, f"each {VERBS[action.verb]}")
    return f"{what}, except those known to be safe (PS3.15 E.3.10)" if safe else what


def _method(program: Program, layers: list[str]) -> Section:
    codes = [] if program.identified else codes_in_words(program.codes)
    text = "The profile is composed of layers; a later one replaces what an earlier one says of an element:"
    stamp = (
        "Each output says so itself: Patient Identity Removed (0012,0062) is YES, De-identification Method (0012,0063) "
        "holds name, version and digest of the profile, and De-identification Method Code Sequence (0012,0064) these "
        "codes of DICOM PS3.15 Annex E and PS3.16 CID 7050:"
    )
    if any(code.value == _CLEAN_PIXELS for code in program.codes):
        only = f"{_CLEAN_PIXELS} only where the pixels of the instance were treated or searched"
        stamp = f"{stamp.removesuffix(':')}, {only}:"
    words = sorted(program.vocabulary, key=str.casefold)
    vocabulary = f"Words of the site that cleaned text may keep: {len(words)}." if words else ""
    blocks: list[Block] = [text, layers, *([stamp, codes] if codes else []), *([vocabulary] if vocabulary else [])]
    return Section("Method", tuple(blocks))


def _accept(program: Program) -> Section:
    if not program.accept:
        return Section("Which instances are taken", ("All.",))
    rows = tuple(
        (str(number), rule.condition.text, OUTCOMES[rule.decision], rule.because)
        for number, rule in enumerate(program.accept, start=1)
    )
    text = "The first rule whose condition holds decides; an instance that no rule is about goes on."
    return Section(
        "Which instances are taken", (text, Table(("", "condition", "the instance", "because"), rows, _CODE))
    )


def _own(program: Program) -> Section:
    """What the profile itself decides, beside what the basic profile would do."""
    if program.profile == _BASIC:
        return Section("What this profile decides itself", ())
    basic = load_profile(_BASIC)
    rows = []
    for rule in own_rules(program):
        if rule.action is None:
            continue
        instead = "" if rule.tag is None else in_words(basic.action(rule.tag))
        becomes = in_words(rule.action)
        rows.append(
            (
                rule.target,
                becomes,
                rule.when,
                "the same" if instead == becomes else instead,
                rule.action.because or "no reason given",
            )
        )
    if not rows:
        return Section("What this profile decides itself", ("Nothing: it only combines its layers.",))
    text = "Each deviation from the layers, with the reason that the author gives."
    head = ("element", "becomes", "condition", "in the basic profile", "because")
    return Section("What this profile decides itself", (text, Table(head, tuple(rows), _CODE)))


def _options(program: Program, layers: list[str]) -> Section:
    """How much each layer between the basic profile and the profile itself decides."""
    rows = []
    for layer in layers:
        tags = [tag for tag in _tags(program) if _action(program, tag).origin.layer == layer]
        verbs = Counter(_action(program, tag).verb for tag in tags)
        rows.append((layer, str(len(tags)), ", ".join(f"{count} {verb}" for verb, count in verbs.most_common())))
    text = "An element counts for the last layer that names it; the lists below say which elements these are."
    return Section("What each layer decides", (text, Table(("layer", "elements", "actions"), tuple(rows), _CODE)))


def _parts(program: Program) -> Iterator[Section]:
    """Every element that has a rule, in three lists, alike ones together."""
    for title in (_STAYS, _CHANGES, _GOES):
        groups: dict[tuple[str, str, str], list[str]] = {}
        tags = [tag for tag in _tags(program) if _part(program, tag) == title]
        for tag in tags:
            action = _action(program, tag)
            key = (_words(program, tag), action.origin.layer, action.origin.clause or action.because)
            groups.setdefault(key, []).append(show_element(tag))
        rows = tuple((words, layer, clause, ", ".join(names)) for (words, layer, clause), names in groups.items())
        text = f"{len(tags)} elements, at every depth of nested sequences unless a rule for a place says otherwise."
        yield Section(title, (text, Table(("what becomes of it", "layer", "clause or reason", "elements"), rows)))


def _rest(program: Program) -> Section:
    named = [
        *((pattern_name(one), one.action) for one in program.patterns),
        *((path_name(one), one.action) for one in program.paths),
        *((private_name(one), one.action) for one in program.private_elements),
        ("private", program.private),
        ("unknown", program.unknown),
        ("unlisted", program.unlisted),
    ]
    rows = tuple(
        (
            name,
            in_words(action),
            "" if action.when is None else action.when.text,
            action.origin.layer,
            action.origin.clause,
            action.because,
        )
        for name, action in named
    )
    head = ("element", "what becomes of it", "condition", "layer", "clause", "because")
    text = "Rules for groups of elements, for single places, and for what has no rule of its own."
    return Section("Groups, places and the rest", (text, Table(head, rows, _CODE)))


def _tests(trial: Trial) -> Section:
    if not trial.verdicts:
        return Section("Tests", ("The profile has no tests.",))
    passed = sum(verdict.passed for verdict in trial.verdicts)
    rows = tuple(
        (verdict.test.name, verdict.outcome, "passed" if verdict.passed else "FAILED", place_of(verdict.test.origin))
        for verdict in trial.verdicts
    )
    used = len(trial.rules) - len(trial.unused)
    text = (
        f"{passed} of {len(trial.verdicts)} tests passed. Of the profile's own {len(trial.rules)} rules {used} applied "
        "in at least one test."
    )
    blocks: list[Block] = [text, Table(("test", "instance", "result", "rule"), rows, _CODE)]
    if trial.unused:
        blocks += ["No test shows these rules:", [str(rule) for rule in trial.unused]]
    return Section("Tests", tuple(blocks))


def _pixels(program: Program) -> Section:
    """What is done with pixel data, and what is held because nothing is."""
    blocks: list[Block] = []
    if program.pixels:
        rows = tuple(
            (
                pixels_in_words(rule),
                "" if rule.condition is None else rule.condition.text,
                rule.origin.layer,
                rule.because or rule.origin.clause,
            )
            for rule in program.pixels
        )
        text = "All rules that apply to an instance count together."
        blocks = [text, Table(("what is done", "condition", "layer", "because"), rows, _CODE)]
    fates: dict[Fate, list[Kind]] = {}
    for kind in kinds(program):
        fates.setdefault(kind.fate, []).append(kind)
    # What passes unlooked stands first.
    fated = tuple((fate.value, "; ".join(in_lines(fates[fate]))) for fate in reversed(Fate) if fate in fates)
    text = "What becomes of images that say nothing of themselves but their kind, by the rules that apply to all of it:"
    return Section("Pixel data", (*blocks, text, Table(("images", "kinds"), fated), _CAUTION))


#: What the gateway does whatever a profile says of pixel data.
_CAUTION: Final = (
    "Instances of kinds that often have text burned in (ultrasound, captures of screens, film, documents, and whatever "
    "says so itself) are held for a person unless a rule blackens, searches or vouches for them; that an instance says "
    "that it has none is not believed. Where pixels change, the output is read again and compared with the original: "
    "blackened areas are one value, everything else is what it was."
)
#: What the profile does not do, and what the gateway does beside it.
_PIXELS: Final = (
    "Pixel data that no rule is about and that is of no such kind is passed on unchanged, without the claim that it "
    "holds no text. Faces are not altered, in "
    "photographs or in what a volume could show."
)
_VERIFIED: Final = (
    "Every output is read back before it leaves. It is compared with the profile, and the identifying values of its "
    "own original are searched for in everything outside the pixel data. A hit holds the instance."
)
_PSEUDONYMISED: Final = (
    "Pseudonyms and new UIDs depend on a secret of the project or on its tables. Whoever has them can test guesses of "
    "identities: as long as they exist, the output is pseudonymised data (GDPR article 4 (5))."
)
_TIMES: Final = (
    "Times of day are coarse: the order of what happened within an hour, decay and uptake (SUV) cannot be told from "
    "the output. A UID that a rule keeps may still hold a time without a date."
)
_FULL_DATES: Final = "Full dates stay: together with other knowledge of a visit they can single out a person."


def _limits(program: Program) -> Section:
    full_dates = [_FULL_DATES] if program.dates == "UNMODIFIED" else []
    if program.times != "keep":
        full_dates.append(_TIMES)
    return Section("Limits", ([_PIXELS, *full_dates, _VERIFIED, _PSEUDONYMISED],))


def _tags(program: Program) -> list[int]:
    return sorted(tag for tag in {*program.actions, *program.rules} if tag in VR_OF or entry(tag) is not None)


def _action(program: Program, tag: int) -> Action:
    """The strongest action for the element at the top level, whatever its condition."""
    return candidates(program, ElementName((), tag))[0]


def _part(program: Program, tag: int) -> str:
    """The part in which an element is listed; one that stays under a condition is among those that stay."""
    parts = {
        _CHANGES if is_patient_pseudonym(tag, action) else _PART.get(action.verb, _CHANGES)
        for action in candidates(program, ElementName((), tag))
    }
    return next(part for part in (_STAYS, _CHANGES, _GOES) if part in parts)


def _words(program: Program, tag: int) -> str:
    actions = candidates(program, ElementName((), tag))
    if all(is_patient_pseudonym(tag, action) for action in actions):
        return "is replaced by the patient's pseudonym"
    return "; ".join(_conditional(actions))


def _conditional(actions: Iterable[Action]) -> Iterator[str]:
    for number, action in enumerate(actions):
        before = "otherwise " if number else ""
        yield (before if action.when is None else f"if {action.when.text}: ") + in_words(action)
