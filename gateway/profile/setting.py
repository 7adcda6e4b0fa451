"""What a profile says once for all elements: identity, dates, words of the site."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from gateway.profile.identity import Identity
from gateway.profile.language import PatientRule, ProfileFile
from gateway.profile.lookup import PATIENT_COLUMNS, load_table
from gateway.profile.program import Dates, Origin, Shift, Times
from gateway.sections.yamlfile import Document

#: What the value of ``dates`` says of the output, for (0028,0303).
_DATES: Final[dict[str, Dates]] = {"removed": "REMOVED", "unmodified": "UNMODIFIED"}
_SHIFT_FORM: Final = "{shift: per-patient, days: -730..-1}"
_RANGE = re.compile(r"([-+]?[0-9]{1,6})\.\.([-+]?[0-9]{1,6})")
#: A century: nobody's examinations are spread over more, and dates stay far from the ends of the calendar.
_MOST_DAYS: Final = 36_525
_KINDS: Final[dict[str, Literal["keyed", "table", "sequential"]]] = {
    "keyed": "keyed",
    "lookup": "table",
    "sequential": "sequential",
}
_TIMES: Final[dict[str, Times]] = {"keep": "keep", "hour": "hour", "remove": "remove"}
#: How an error says what an option does with dates.
_WORDS: Final = {"shift": "shifted", "unmodified": "unmodified"}
_MOST_WORDS: Final = 200_000
_LONGEST_WORD: Final = 200


def read_dates(documents: Sequence[Document[ProfileFile]]) -> tuple[Dates, Shift | None]:
    """What the layers do with dates, by the last that says it.

    Raises
    ------
    ProfileError
        the value is wrong, or contradicts an option that a layer implements
    """
    dates, shift = _DATES["removed"], None
    option: tuple[str, str] | None = None
    for document in documents:
        model = document.model
        if "dates" not in model.model_fields_set:
            continue
        dates, shift = _dates(document)
        word = "shift" if shift is not None else str(model.dates)
        if model.option is not None and word != "removed":
            option = (model.profile, word)
        elif option is not None and option[1] != word:
            problem = f'"{option[0]}" says that dates are {_WORDS[option[1]]}, which this contradicts'
            raise document.error("dates", problem=problem)
    return dates, shift


def read_times(layers: Sequence[tuple[Document[ProfileFile], Path]]) -> tuple[Times, Origin]:
    """How exact times of day stay, by the last layer that says it, and where that is.

    Raises
    ------
    ProfileError
        the value is wrong
    """
    times, origin = _TIMES["keep"], Origin("standard", "", "", 0)
    for document, file in layers:
        model = document.model
        if "times" not in model.model_fields_set:
            continue
        word = model.times
        if not isinstance(word, str) or word not in _TIMES:
            problem = f"times are one of {', '.join(_TIMES)}"
            raise document.error("times", problem=problem, word=str(word), words=_TIMES)
        times = _TIMES[word]
        origin = Origin(model.profile, model.clause, str(file), document.place("times").line)
    return times, origin


def _dates(document: Document[ProfileFile]) -> tuple[Dates, Shift | None]:
    word = document.model.dates
    if isinstance(word, dict):
        return "MODIFIED", _shift(document, word)
    if not isinstance(word, str) or word not in _DATES:
        problem = f"dates are one of {', '.join(_DATES)} and {_SHIFT_FORM}"
        raise document.error("dates", problem=problem, word=str(word), words=_DATES)
    return _DATES[word], None


def _shift(document: Document[ProfileFile], form: dict[str, object]) -> Shift:
    for key in form:
        if key not in ("shift", "days"):
            raise document.error("dates", key, problem=f'unknown key "{key}"', word=key, words=("shift", "days"))
    for key in ("shift", "days"):
        if key not in form:
            raise document.error("dates", problem=f'the key "{key}" is missing: {_SHIFT_FORM}')
    if form["shift"] != "per-patient":
        raise document.error("dates", "shift", problem='dates are shifted "per-patient"')
    match = _RANGE.fullmatch(str(form["days"]).replace(" ", ""))
    if match is None:
        raise document.error("dates", "days", problem="the days are a range such as -730..-1")
    first, last = int(match.group(1)), int(match.group(2))
    if first > last:
        raise document.error("dates", "days", problem=f"the range begins after its end: write {last}..{first}")
    if max(abs(first), abs(last)) > _MOST_DAYS:
        raise document.error("dates", "days", problem=f"dates are shifted by at most {_MOST_DAYS} days")
    if first == last == 0:
        raise document.error("dates", "days", problem="a shift of 0 days leaves every date as it is")
    return Shift(first, last)


def read_identity(layers: Sequence[tuple[Document[ProfileFile], Path]]) -> Identity:
    """What the layers put in a patient's place, by the last that says it.

    Parameters
    ----------
    layers
        content and file of each; tables are beside the file

    Raises
    ------
    ProfileError
        a format or a table is wrong
    """
    identity = Identity()
    for document, file in layers:
        if document.model.identity is not None:
            identity = _identity(document, file, document.model.identity.patient, identity)
    return identity


def _identity(document: Document[ProfileFile], file: Path, rule: PatientRule, earlier: Identity) -> Identity:
    at = ("identity", "patient")
    lookup = rule.pseudonym == "lookup"
    for key in ("table", "missing"):
        if key in rule.model_fields_set and not lookup:
            raise document.error(*at, key, problem=f'"{key}" belongs to "pseudonym: lookup"')
    if lookup and rule.table is None:
        raise document.error(*at, problem='"pseudonym: lookup" needs the name of a table: "table: subjects.csv"')
    if lookup and rule.format is not None and rule.missing != "keyed":
        raise document.error(*at, "format", problem='a format is for patients whom the table lacks: "missing: keyed"')
    if rule.pseudonym == "sequential" and rule.format is None:
        raise document.error(*at, problem='"pseudonym: sequential" needs a format such as "SUBJ-{number:05}"')
    form = rule.format
    if form is None:
        form = earlier.patient_format if earlier.kind != "sequential" else Identity().patient_format
    table = None
    if rule.table is not None:
        try:
            table = load_table(file.parent / rule.table, PATIENT_COLUMNS)
        except ValueError as failed:
            raise document.error(*at, "table", problem=str(failed)) from None
    try:
        return Identity(
            form,
            _KINDS[rule.pseudonym],
            table,
            rule.missing or "hold",
            rule.issuers or earlier.issuers,
            earlier.not_ids if rule.not_ids is None else frozenset(one.strip().casefold() for one in rule.not_ids),
        )
    except ValueError as failed:
        raise document.error(*at, "format", problem=str(failed)) from None


def read_vocabulary(document: Document[ProfileFile], file: Path) -> frozenset[str]:
    """The words of the site that a profile names: from text files, one word or phrase per line, ``#`` for remarks.

    Raises
    ------
    ProfileError
        a file cannot be read or is wrong
    """
    words: set[str] = set()
    for number, name in enumerate(document.model.vocabulary):
        try:
            lines = (file.parent / name).read_text(encoding="utf-8-sig").splitlines()
        except OSError as failed:
            problem = f"the vocabulary {name} cannot be read: {failed.strerror}"
            raise document.error("vocabulary", number, problem=problem) from None
        except UnicodeDecodeError:
            raise document.error("vocabulary", number, problem=f"the vocabulary {name} is not UTF-8 text") from None
        for line_number, line in enumerate(lines, start=1):
            word = line.partition("#")[0].strip()
            if len(word) > _LONGEST_WORD:
                problem = f"{name}, line {line_number}: a word has at most {_LONGEST_WORD} characters"
                raise document.error("vocabulary", number, problem=problem)
            if word:
                words.add(word)
        if len(words) > _MOST_WORDS:
            raise document.error("vocabulary", number, problem=f"there are more than {_MOST_WORDS} words")
    return frozenset(words)
