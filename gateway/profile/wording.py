"""What a program does, in the words of the people who answer for it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, assert_never

from gateway.dicom.dictionary import keyword_of
from gateway.dicom.tag import show
from gateway.profile.elders import age_limit
from gateway.profile.load import shipped_profiles
from gateway.profile.program import Action, Code, Origin, PathRule, Pattern, PrivateRule, Program, Shift
from gateway.profile.times import exempt, is_exempt
from gateway.profile.verb import DESCRIPTIONS, Verb
from gateway.profile.verb_options import (
    Believing,
    Bins,
    Mapping_,
    Numeric,
    Options,
    Prefix,
    Pseudonym,
    RetainedUid,
    Rounding,
    Source,
    Substitution,
    Technical,
    TimeOfDay,
    Truncation,
    Unnamed,
)

__all__ = [
    "DATES",
    "IDENTIFIED",
    "OUTCOMES",
    "PATIENT",
    "TIMES",
    "VERBS",
    "codes_in_words",
    "dates_in_words",
    "file_name",
    "in_words",
    "is_patient_pseudonym",
    "names_in_words",
    "path_name",
    "patient_in_words",
    "pattern_name",
    "place_of",
    "private_name",
    "times_in_words",
]

#: Patient's Name and Patient ID: where a rule touches them they hold the patient's pseudonym.
PATIENT: Final = frozenset((0x00100010, 0x00100020))

#: Verb -> what becomes of an element.
VERBS: Final = {verb: one.words for verb, one in DESCRIPTIONS.items()}
#: ``Program.dates`` -> what is done with dates.
DATES: Final = {
    "REMOVED": "dates are removed or replaced by dummies",
    "MODIFIED": "dates are shifted",
    "UNMODIFIED": "full dates stay",
}
#: ``Program.times`` -> what is done with times of day where a date or a time stays.
TIMES: Final = {
    "keep": "times of day stay as they are where dates and times stay",
    "hour": "times of day are cut to the hour",
    "remove": "times of day are removed, and of dates with a time the date is left",
}
#: Decision of an accept rule -> what becomes of the instance.
OUTCOMES: Final = {"accept": "goes on", "reject": "is rejected", "hold": "is held"}

#: What ``keep`` adds -> what becomes of an element.
_KEPT: Final[dict[type[Options], str]] = {
    Unnamed: "stays without the names of persons and institutions that the study's header has",
    Believing: "stays where Table E.3.10-1 or the instance's own (0008,0300) calls it safe",
    RetainedUid: "stays if it is a UID and holds no date that does not leave; another is replaced",
    Technical: "stays if it is technical: made of known terms, codes and short numbers; a value that is not goes",
}
#: What is left of a time of day.
_LEFT: Final = {
    "hour": "its time of day cut to the hour (times: hour)",
    "remove": "without its time of day (times: remove)",
}
_OTHERWISE: Final = {
    "hold": "the instance is held",
    "remove": "the element is removed",
    "empty": "the element stays without a value",
    "keep": "the value stays",
}
_LONGEST: Final = 60
#: What is said first of a profile whose outputs name the patient.
IDENTIFIED: Final = (
    "The outputs of this profile are identified: they hold who the patient is. Nothing is claimed of them, and only a "
    "destination that accepts identified instances takes them."
)


def in_words(action: Action) -> str:
    """What ``action`` does to an element, as the rest of a sentence that begins with the element."""
    if action.verb in (Verb.REPLACE, Verb.INSERT) and action.value is not None:
        words = "replaced by" if action.verb is Verb.REPLACE else "written, whether it was there or not, with"
        return f'is {words} "{action.value}"'
    if isinstance(action.options, TimeOfDay):
        return f"{'stays' if action.verb is Verb.KEEP else VERBS[action.verb]}, {_LEFT[action.options.to]}"
    return VERBS[action.verb] if action.options is None else _option(action.options)


def is_patient_pseudonym(tag: int, action: Action) -> bool:
    """Whether the engine writes the patient's pseudonym into ``tag`` at the top level, whatever the rule says."""
    return tag in PATIENT and action.verb is not Verb.KEEP


def patient_in_words(program: Program) -> str:
    """Where a patient's pseudonym comes from."""
    identity = program.identity
    computed = f"computed from the project's secret in the form {identity.patient_format}"
    if identity.table is not None:
        missing = "the instance is held" if identity.missing == "hold" else f"it is {computed}"
        return (
            f"the patient's pseudonym, from the table {identity.table.name}; for a patient who is not in it {missing}"
        )
    if identity.kind == "sequential":
        return f"the patient's pseudonym, a number given in order of arrival in the form {identity.patient_format}"
    return f"the patient's pseudonym, {computed}"


def names_in_words(program: Program) -> list[str]:
    """What becomes of Patient's Name and Patient ID at the top level where no condition holds, a sentence each."""
    sentences = []
    for tag in sorted(PATIENT):
        action = next((rule.action for rule in program.paths if not rule.path and rule.tag == tag), program.action(tag))
        pseudonym = action.verb.is_compound or action.verb in (Verb.EMPTY, Verb.DUMMY)
        words = f"is replaced by {patient_in_words(program)}" if pseudonym else in_words(action)
        sentences.append(f"{_name(tag)} {words}.")
    return sentences


def dates_in_words(program: Program) -> str:
    """What is done with dates, for the whole profile."""
    limit = age_limit(program)
    shift = "" if program.shift is None else f", {_shift(program.shift)}"
    elders = "" if limit is None else f"; of patients of {limit} years and more no date of birth leaves"
    return f"{DATES[program.dates]}{shift}{elders}"


def times_in_words(program: Program) -> str:
    """How exact times of day stay, for the whole profile, and which of them a rule keeps as they are."""
    kept = [
        *dict.fromkeys(_name(tag) for tag in exempt(program)),
        *(private_name(rule) for rule in program.private_elements if rule.vr in ("TM", "DT") and is_exempt(rule)),
    ]
    if program.times == "keep" or not kept:
        return TIMES[program.times]
    return f"{TIMES[program.times]}; a rule keeps those of {', '.join(kept)} as they are"


def codes_in_words(codes: tuple[Code, ...]) -> list[str]:
    """Profile and options of PS3.15 with their codes: ``113100 Basic Application Confidentiality Profile``."""
    return [f"{code.value} {code.meaning}" for code in codes]


def place_of(origin: Origin) -> str:
    """File and line of a rule, ``profiles/basic.yaml:62`` of a shipped one; empty for what the standard fixes."""
    return f"{file_name(origin.file)}:{origin.line}" if origin.file else ""


def file_name(file: str) -> str:
    """How a profile's file is called: a shipped one by its place among the gateway's, others as they were found."""
    path = Path(file)
    return f"profiles/{path.name}" if path.resolve().is_relative_to(shipped_profiles().resolve()) else file


def pattern_name(pattern: Pattern) -> str:
    """The tags of a pattern as profiles write them: ``(60xx,3000)``."""
    digits = "".join(
        digit if known == "F" else "x"
        for digit, known in zip(f"{pattern.value:08X}", f"{pattern.mask:08X}", strict=True)
    )
    return f"({digits[:4]},{digits[4:]})"


def path_name(rule: PathRule) -> str:
    """Where a path rule applies, as profiles write it."""
    if not rule.path:
        return f"/{_name(rule.tag)}"
    return "/".join([*(step if isinstance(step, str) else _name(step) for step in rule.path), _name(rule.tag)])


def private_name(rule: PrivateRule) -> str:
    """A private element or block with its creator, as profiles write it."""
    offset = "xx" if rule.offset is None else f"{rule.offset:02X}"
    return f"({rule.group:04X},xx{offset}) {rule.creator}"


def _name(tag: int) -> str:
    return keyword_of(tag) or show(tag)


def _shift(shift: Shift) -> str:
    return f"by one number of days per patient between {shift.first} and {shift.last}, never 0"


def _mapped(options: Mapping_) -> str:
    """What becomes of the values that a rule lists."""
    if all(original == replacement for original, replacement in options.pairs):
        return f"stays where it is one of {len(options.pairs)} listed values"
    pairs = ", ".join(f'"{original}" by "{replacement}"' for original, replacement in options.pairs)
    return f"is replaced: {pairs if len(pairs) <= _LONGEST else f'what a list of {len(options.pairs)} values says'}"


def _option(options: Options) -> str:
    match options:
        case Truncation():
            left = {"year": "the year", "month": "year and month"}[options.to]
            return f"keeps {left} of the date; the rest becomes the first day"
        case Unnamed() | Technical() | Believing() | RetainedUid() | TimeOfDay() | Numeric():
            return _kept(options)
        case Pseudonym():
            return _pseudonym(options)
        case Mapping_():
            return f"{_mapped(options)}; for other values {_OTHERWISE[options.otherwise]}"
        case Bins():
            width = "to whole years" if options.years == 1 else f"to steps of {options.years} years"
            top = "" if options.top is None else f"; {options.top} years and more become {options.top:03d}Y"
            return f"is rounded down {width}{top}"
        case Rounding():
            return f"is rounded to multiples of {options.step}"
        case Prefix():
            return f"keeps its first {options.characters} character{'s' if options.characters > 1 else ''}"
        case Substitution():
            return (
                f"has every match of the regular expression {options.expression.pattern} replaced by "
                f'"{options.replacement}"; without a match {_OTHERWISE[options.otherwise]}'
            )
        case Source():
            return f"is written with the value of {_name(options.tag)} as received"
    assert_never(options)


def _kept(options: Options) -> str:
    """What ``keep`` with more than itself does."""
    if isinstance(options, TimeOfDay):
        return f"stays, {_LEFT[options.to]}"
    return _numeric(options) if isinstance(options, Numeric) else _KEPT[type(options)]


def _numeric(options: Numeric) -> str:
    if options.vrs == ("SQ",):
        return "stays as a sequence, with the profile applied inside"
    vr = " or ".join(options.vrs)
    if options.form:
        return f"stays if it is VR {vr} and reads as the regular expression {options.form} says"
    several = "one number" if options.vm == "1" else f"{options.vm} numbers"
    span = "" if options.low is None else f" from {options.low:g} to {options.high:g}"
    return f"stays if it is {several} of VR {vr}{span}"


def _pseudonym(options: Pseudonym) -> str:
    if options.kind == "table" and options.table is not None:
        return (
            f"is replaced by what the table {options.table.name} says; "
            f"for a value that it lacks {_OTHERWISE[options.missing]}"
        )
    if options.kind == "sequential":
        return f"is replaced by a number given in order of arrival, in the form {options.format}"
    return f"is replaced by a pseudonym computed from the project's secret, in the form {options.format}"
