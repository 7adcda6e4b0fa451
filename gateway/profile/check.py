"""What is wrong with a profile, and what its author has perhaps not meant.

A profile with an error is never used. Warnings are about rules that say nothing, rules that another rule overrides, and
rules by which a profile is weaker than the basic one without saying why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.dicom.dictionary import entry, is_known
from gateway.dicom.tag import show
from gateway.errors import GatewayError, ProfileError
from gateway.extras import deface, ocr
from gateway.profile.check_mosaic import lost_slices
from gateway.profile.check_times import lost
from gateway.profile.load import Loaded, load_layers, load_profile, shipped_profiles
from gateway.profile.pixel_program import Deface, Encode, FindText, Pass
from gateway.profile.pixel_wording import key_of
from gateway.profile.program import Action, Program
from gateway.profile.resolve import Disagreement
from gateway.profile.rules import KEPT_OR_HASHED, ONLY_KEPT, private_vr
from gateway.profile.stamps import is_stamp
from gateway.profile.target import FOREIGN_GROUPS, At, ByVr, Default, Mask, PrivateElement, Target
from gateway.profile.verb import Verb
from gateway.profile.wording import IDENTIFIED

__all__ = ["Finding", "Report", "check_profile"]

_BASIC: Final = "basic"
#: Retain UIDs Option (PS3.16 CID 7050).
_RETAIN_UIDS: Final = "113110"
#: Layers of the gateway that carry out no option: attributes outside the table, numbers of the acquisition.
_UNLISTED: Final = frozenset(("unlisted-attributes", "retain-acquisition-private"))
#: With fewer possible shifts the original dates are soon guessed.
_FEW_SHIFTS: Final = 30
#: Patient's Name and Patient ID, which hold the pseudonym wherever a rule does not keep them.
_PSEUDONYMISED: Final = frozenset((0x00100010, 0x00100020))
#: Verbs after which the original value may be in the output, wholly or in part.
_REVEALING: Final = frozenset(
    (
        Verb.KEEP, Verb.CLEAN, Verb.COPY, Verb.REGEX, Verb.MAP, Verb.GENERALISE, Verb.TRUNCATE_DATE, Verb.SHIFT_DATE,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or warning.

    Attributes
    ----------
    text
        what is the matter
    file, line, column
        where; an empty file, line 0 and column 0 where it has no place
    excerpt
        the line and a pointer to the place, for errors in a file
    """

    text: str
    file: str = ""
    line: int = 0
    column: int = 0
    excerpt: str = ""

    def __str__(self) -> str:
        if not self.file:
            return self.text
        column = f":{self.column}" if self.column else ""
        return f"{self.file}:{self.line}{column}: {self.text}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes
    ----------
    errors
        why the profile cannot be used; empty if it can
    warnings
        what its author should look at
    program
        the compiled profile, None if there are errors
    as_layer
        it was checked on top of the basic profile, for it is a layer of others
    """

    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    program: Program | None
    as_layer: bool = False


def check_profile(name_or_path: str | Path, *, search: Sequence[Path] = (), layer: bool = False) -> Report:
    """Check a profile with its layers.

    Parameters
    ----------
    name_or_path, search
        as for ``load_profile``
    layer
        check what leaves open what happens to elements that no rule names on top of the basic profile, as a layer
        of others. Layers of the gateway, and those that carry out an option, are always checked so.

    Raises
    ------
    ConfigurationError
        the installation is incomplete
    """
    try:
        loaded = load_layers(name_or_path, search=search, beneath=_BASIC)
    except ProfileError as failed:
        return Report(_errors(failed), (), None)
    if loaded.incomplete is not None and not (layer or _is_layer(loaded)):
        return Report((_alone(loaded.incomplete),), (), None)
    missing = _missing_finder(loaded)
    if missing is not None:
        return Report((missing,), (), None)
    warnings = sorted(_warnings(loaded), key=lambda finding: (finding.file, finding.line, finding.text))
    return Report((), tuple(dict.fromkeys(warnings)), loaded.program, as_layer=loaded.incomplete is not None)


def _missing_finder(loaded: Loaded) -> Finding | None:
    """Why a profile that looks for text cannot be used here."""
    rule = next((rule for rule in loaded.program.pixels if isinstance(rule, FindText)), None)
    missing = ocr.missing() if rule is not None else None
    if rule is None or missing is None:
        return None
    return Finding(missing, rule.origin.file, rule.origin.line)


def _faces(loaded: Loaded) -> Iterator[Finding]:
    """What a profile that takes faces away can be without, but not do its work."""
    rule = next((rule for rule in loaded.program.pixels if isinstance(rule, Deface)), None)
    missing = deface.missing() if rule is not None else None
    if rule is not None and missing is not None:
        text = f"{missing}; until then, or until deface.command names another program, what may show a face is held"
        yield Finding(text, rule.origin.file, rule.origin.line)


def _is_layer(loaded: Loaded) -> bool:
    """Whether the profile says, by what it is, that it is only a layer of others."""
    top = loaded.layers[-1]
    return top.model.option is not None or top.file.resolve().parent == shipped_profiles().resolve()


def _alone(incomplete: GatewayError) -> Finding:
    """Why a profile cannot be used by itself: the engine refuses it, and so does the check."""
    finding = _error(incomplete)
    text = f"{finding.text}. A layer, which other profiles use, is checked with --layer"
    return Finding(text, finding.file, finding.line, finding.column, finding.excerpt)


def _errors(failed: ProfileError) -> tuple[Finding, ...]:
    """All that an error of a file tells, the first first."""
    problems = failed.facts.get("problems")
    if not isinstance(problems, tuple) or len(problems) < 2:
        return (_error(failed),)
    return tuple(Finding(text, place.file, place.line, place.column, excerpt) for place, text, excerpt in problems)


def _error(failed: GatewayError) -> Finding:
    facts = failed.facts
    text = str(facts.get("problem", "")).partition(" | ")[0]
    file, line, column = facts.get("file"), facts.get("line"), facts.get("column")
    if not isinstance(file, str) or not isinstance(line, int) or not isinstance(column, int):
        return Finding(str(failed))
    return Finding(text, file, line, column, str(facts.get("excerpt", "")))


def _warnings(loaded: Loaded) -> Iterator[Finding]:
    shipped = shipped_profiles().resolve()
    # What the gateway's own layers say is the standard's, or has its reason in the layer.
    standard = {
        layer.file
        for layer in loaded.layers
        if (layer.model.option or layer.name in _UNLISTED) and layer.file.resolve().parent == shipped
    }
    own = {str(layer.file) for layer in loaded.layers} - {str(file) for file in standard}
    ranked = [(target, action) for target, action in loaded.resolved.ranked if action.origin.file in own]
    yield from _silent(loaded.program, ranked)
    yield from _shadowed(loaded, ranked)
    yield from _weak(ranked)
    yield from _disagreements(loaded.resolved.disagreements)
    yield from _settings(loaded)
    yield from _mosaics(loaded, own)
    yield from _pixels(loaded, own)
    yield from _doubtful(loaded, own)
    yield from _faces(loaded)


def _at(action: Action, text: str) -> Finding:
    return Finding(text, action.origin.file, action.origin.line)


def name_of(target: Target) -> str:
    """The target as a profile writes it."""
    match target:
        case Default():
            return target.value
        case ByVr():
            return f"VR:{target.vr}"
        case Mask():
            mask, digits = f"{target.mask & ~0x00010000:08X}", f"{target.value:08X}"
            shown = "".join(one if free != "0" else "x" for one, free in zip(digits, mask, strict=True))
            return f"({shown[:2]}xx,{shown[4:]})" if shown[2:4] in ("0x", "xx") else f"({shown[:4]},{shown[4:]})"
        case PrivateElement():
            offset = "xx" if target.offset is None else f"{target.offset:02X}"
            return f"({target.group:04X},xx{offset}) {target.creator}"
        case At():
            steps = [one if isinstance(one, str) else _keyword(one) for one in target.path]
            return "/".join((*(steps or [""]), _keyword(target.tag)))
        case _:
            return _keyword(target)


def _keyword(tag: int) -> str:
    row = entry(tag)
    return row.keyword if row is not None and row.keyword else show(tag)


def _silent(program: Program, ranked: Iterable[tuple[Target, Action]]) -> Iterator[Finding]:
    """Rules that never do anything."""
    for target, action in ranked:
        tag = target.tag if isinstance(target, At) else target
        name = name_of(target)
        if isinstance(tag, int) and not isinstance(target, Mask):
            if is_stamp(target.path if isinstance(target, At) else (), tag):
                yield _at(action, f"{name}: the gateway writes this element itself, whatever a rule says")
            elif tag >> 16 in FOREIGN_GROUPS:
                yield _at(action, f"{name} is no element of a data set: the rule never applies")
            elif not is_known(tag):
                yield _at(action, f"{name} is not in the data dictionary: does the standard have this element?")
            elif tag in _PSEUDONYMISED and action.verb is not Verb.KEEP and not isinstance(target, At):
                yield _at(action, f"{name} holds the patient's pseudonym, whatever a rule other than keep says")
        if isinstance(target, At):
            yield from _below_removed(program, target, action)
        if isinstance(target, PrivateElement) and target.offset is not None:
            vr = private_vr(target.group, target.offset, target.creator)
            if vr == "UN":
                yield _at(action, f"{name} is not in the dictionary of private elements: check creator and number")


def _below_removed(program: Program, target: At, action: Action) -> Iterator[Finding]:
    for step in target.path:
        if not isinstance(step, int) or step in {rule.tag for rule in program.paths}:
            continue
        actions = program.rules.get(step, (program.action(step),))
        if all(one.verb in (Verb.REMOVE, Verb.EMPTY, Verb.DUMMY, Verb.REMOVE_OR_EMPTY) for one in actions):
            text = (
                f"{name_of(target)}: the rule never applies, for {_keyword(step)} itself has the rule"
                f" {actions[-1].verb}"
            )
            yield _at(action, text)
            return


def _shadowed(loaded: Loaded, ranked: Iterable[tuple[Target, Action]]) -> Iterator[Finding]:
    """Rules that another one overrides everywhere."""
    program = loaded.program
    essential = ONLY_KEPT | KEPT_OR_HASHED
    effective = _effective(program)
    every = loaded.resolved.ranked
    for target, action in ranked:
        if action.rank in effective or (isinstance(target, int) and target in essential):
            continue
        stronger = next(
            (
                other
                for covering, other in reversed(every)
                if other.rank > action.rank and other.when is None and _covers(covering, target)
            ),
            None,
        )
        if stronger is not None:
            where = f"{Path(stronger.origin.file).name}, line {stronger.origin.line}"
            yield _at(action, f"{name_of(target)}: {action.verb} never counts, for {where} says {stronger.verb}")


def _effective(program: Program) -> set[int]:
    """Ranks of the rules that may decide about an element."""
    actions: list[Action] = [action for candidates in program.rules.values() for action in candidates]
    actions += [action for candidates in program.defaults.values() for action in candidates]
    actions += [pattern.action for pattern in program.patterns]
    actions += [rule.action for rule in program.paths]
    actions += [rule.action for rule in program.private_elements]
    actions += [action for _, action in program.inserts]
    return {action.rank for action in actions}


def _covers(target: Target, other: Target) -> bool:
    """Whether every element of ``other`` is one of ``target``'s."""
    if isinstance(other, At):
        return target in (other, other.tag) or (isinstance(target, Mask) and target.matches(other.tag))
    if target == other:
        return True
    if isinstance(target, Mask):
        return target.covers(other) if isinstance(other, Mask) else isinstance(other, int) and target.matches(other)
    if isinstance(target, ByVr):
        return isinstance(other, int) and other in target.tags()
    if isinstance(other, PrivateElement):
        return target is Default.PRIVATE or (
            isinstance(target, PrivateElement) and target == PrivateElement(other.group, None, other.creator)
        )
    return target is Default.PRIVATE and other is Default.SAFE_PRIVATE


def _weak(ranked: Iterable[tuple[Target, Action]]) -> Iterator[Finding]:
    """Rules by which something stays that the basic profile takes away, without a reason."""
    basic = load_profile(_BASIC)
    for target, action in ranked:
        if action.because or action.verb not in _REVEALING:
            continue
        taken = _taken_by_basic(basic, target)
        if taken:
            text = f"{name_of(target)}: {action.verb} is weaker than the basic profile, which says {taken}: add because"
            yield _at(action, text)


def _taken_by_basic(basic: Program, target: Target) -> str:
    """What the basic profile says of the target, if it takes the value away; empty if it does not."""
    match target:
        case PrivateElement() | Default.PRIVATE | Default.SAFE_PRIVATE:
            return basic.private.verb.value
        case Default.UNKNOWN:
            return basic.unknown.verb.value
        case Default.UNLISTED:
            return ""
        case ByVr():
            verbs = sorted({basic.action(tag).verb.value for tag in target.tags()} - {Verb.KEEP.value})
            return verbs[0] if verbs else ""
        case Mask():
            patterns = [Mask(one.mask, one.value) for one in basic.patterns]
            covered = [tag for tag in basic.actions if target.matches(tag)]
            taken = any(one.covers(target) or target.covers(one) for one in patterns) or bool(covered)
            return Verb.REMOVE.value if taken else ""
        case At():
            verb = basic.action(target.tag).verb
        case _:
            verb = basic.action(target).verb
    return "" if verb is Verb.KEEP else verb.value


def _disagreements(disagreements: Iterable[Disagreement]) -> Iterator[Finding]:
    """One warning for two options that disagree, with the elements."""
    pairs: dict[tuple[str, str, str], list[str]] = {}
    for one in disagreements:
        pair = one.kept.origin.layer, one.cleaned.origin.layer, one.cleaned.verb.value
        pairs.setdefault(pair, []).append(_keyword(one.tag))
    for (kept, cleaned, verb), names in pairs.items():
        elements = ", ".join(sorted(names))
        yield Finding(f"{kept} keeps what {cleaned} changes; {verb}, the stricter of the two, counts for {elements}")


def _settings(loaded: Loaded) -> Iterator[Finding]:
    program, top = loaded.program, loaded.layers[-1]
    if loaded.left_out:
        place = top.document.place("profile")
        text = f"left out, for what it needs is not installed: {', '.join(loaded.left_out)} ({ocr.missing()})"
        yield Finding(text, place.file, place.line, place.column)
    if program.identified:
        place = top.document.place("identified")
        yield Finding(IDENTIFIED, place.file, place.line, place.column)
    shift = program.shift
    if shift is not None and shift.choices < _FEW_SHIFTS:
        place = top.document.place("dates")
        text = f"there are only {shift.choices} possible shifts: dates can be guessed back"
        yield Finding(text, place.file, place.line, place.column)
    retains = top.model.option is None and any(code.value == _RETAIN_UIDS for code in program.codes)
    if retains and program.dates != "UNMODIFIED":
        place = top.document.place("use")
        text = (
            "UIDs often hold dates: those that do are replaced, as dates do not stay; "
            "an instance of which one holds a number of the patient is held"
        )
        yield Finding(text, place.file, place.line, place.column)
    for text in lost(program):
        place = next(layer for layer in reversed(loaded.layers) if layer.model.times is not None).document.place(
            "times"
        )
        yield Finding(text, place.file, place.line, place.column)
    table = program.identity.table
    if table is not None and len(set(table.rows.values())) < len(table.rows):
        yield Finding(f"in {table.name} several patients have the same pseudonym: their data will be merged")
    if _BASIC not in [layer.name for layer in loaded.layers]:
        place = top.document.place("profile")
        text = "the profile does not use basic: everything that no rule names stays as the rule for unlisted says"
        yield Finding(text, place.file, place.line, place.column)


def _doubtful(loaded: Loaded, own: set[str]) -> Iterator[Finding]:
    """Conditions of the profile that no instance can meet."""
    for layer in loaded.layers:
        if str(layer.file) in own:
            for condition in layer.conditions:
                file, line, column = condition.place.rsplit(":", 2)
                for text in condition.doubts:
                    yield Finding(text, file, int(line), int(column))


def _mosaics(loaded: Loaded, own: set[str]) -> Iterator[Finding]:
    """What a profile that keeps private elements does to volumes in one picture; a layer alone takes no instances."""
    program, top = loaded.program, loaded.layers[-1]
    keeps = program.safe is not None or any(rule.action.verb is Verb.KEEP for rule in program.private_elements)
    text = lost_slices(program) if keeps and str(top.file) in own else ""
    if text:
        place = top.document.place("profile")
        yield Finding(text, place.file, place.line, place.column)


def _pixels(loaded: Loaded, own: set[str]) -> Iterator[Finding]:
    """Pixel rules of the profile that a later one overrides for every instance."""
    rules = tuple(loaded.program.pixels)
    for number, rule in enumerate(rules):
        kinds = next((kinds for kinds in (Encode, FindText | Pass) if isinstance(rule, kinds)), None)
        if kinds is None or rule.origin.file not in own:
            continue
        later = next((one for one in rules[number + 1 :] if isinstance(one, kinds) and one.condition is None), None)
        if later is not None:
            where = f"{Path(later.origin.file).name}, line {later.origin.line}"
            text = f"{key_of(rule)} never counts, for {where} says {key_of(later)} of every instance"
            yield Finding(text, rule.origin.file, rule.origin.line)
