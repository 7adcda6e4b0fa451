"""From an identifying value to what is searched for (``gateway.verify.needle``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from gateway.dicom.identifying import Kind
from gateway.verify import harmless_words
from gateway.verify.dates_in_text import date_digits
from gateway.verify.names import is_unspaced, name_needles
from gateway.verify.needle import Mode, Needle, make, phrase_mode
from gateway.verify.text_normalisation import squash

__all__ = ["is_time", "needles"]

_PARTS_OF_ADDRESS: Final = re.compile(r"[,;^\r\n\\]+")
_SHORTEST_ADDRESS: Final = 8
_SHORTEST_PHONE: Final = 7
_NATIONAL_NUMBER: Final = 9
#: Shorter runs of digits inside an identifier do not tell it.
_SHORTEST_RUN: Final = 6
#: What many sites put before a number: the kind of machine.
_MODALITY: Final = re.compile(r"(?:ct|mr|us|cr|dx|mg|xa|rf|nm|pt|pet|rx|rm|tc)(?=[a-z0-9]{6})")
#: A date with a clock of at least hours and minutes.
_TIME: Final = re.compile(
    r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9][0-9]{0,3})?"
)
#: A check digit or letter at the end: ``12.345.678-5``, ``48921377K``.
_CHECKED: Final = re.compile(r"(.*[0-9])[-./ ]([0-9a-z]{1,2})")


@lru_cache(maxsize=1024)
def needles(kind: Kind, text: str) -> tuple[Needle, ...]:
    """The needles for one identifying value.

    Parameters
    ----------
    kind
        what the value is
    text
        the decoded value

    Returns
    -------
    None for a value that identifies nobody, such as ``ANONYMOUS``, ``n.a.``, ``0``, ``19000101``, or an institution
    that is called ``RADIOLOGY``.
    """
    if harmless_words.is_placeholder(squash(text)):
        return ()
    match kind:
        case Kind.NAME:
            made = name_needles(text)
        case Kind.ID:
            made = _id(kind, text)
        case Kind.DEVICE:
            # Without a digit it is a model or a role ("CT", "ARCHIVE"), which many stations share.
            made = _id(kind, text) if len(text) > 4 and re.search(r"\d", text) else iter(())
        case Kind.DATE | Kind.BIRTH_DATE:
            made = _date(kind, text)
        case Kind.INSTITUTION:
            made = _institution(text)
        case Kind.ADDRESS:
            made = _address(text)
        case Kind.PHONE:
            made = _phone(text)
        case _:
            made = iter(())
    return tuple(dict.fromkeys(made))


def _id(kind: Kind, text: str) -> Iterator[Needle]:
    """An identifier as written, without its punctuation, its letters in front or its check digit, and each long run
    of digits in it, with and without leading zeros.
    """
    form = squash(text)
    compact = form.replace(" ", "")
    yield make(kind, form, _mode(compact), text)
    if compact != form and len(compact) > 5:
        yield make(kind, compact, Mode.DIGITS)
    bare = _MODALITY.sub("", compact, count=1) if _MODALITY.match(compact) else compact
    if bare != compact and re.search("[0-9]", bare):
        yield make(kind, bare, Mode.DIGITS)
    # A row of short numbers, such as a version or a date, is no number.
    runs = re.findall(r"[0-9]+", form)
    if form.count(" ") <= 4:
        runs += re.findall(r"[0-9]+", compact)
    if checked := _CHECKED.fullmatch(text.strip().lower()):
        runs += re.findall(r"[0-9]+", squash(checked[1]).replace(" ", ""))
    for run in dict.fromkeys(runs):
        for digits in dict.fromkeys((run, run.lstrip("0"))):
            # ``MR20240315101512`` is no number but the time at which a machine made it.
            if is_time(digits):
                yield from _date(Kind.DATE, digits)
            elif len(digits) >= _SHORTEST_RUN and len(set(digits)) > 1 and digits not in (form, compact):
                yield make(kind, digits, Mode.DIGITS)


def is_time(digits: str) -> bool:
    """Whether digits are a date with a clock."""
    return _TIME.fullmatch(digits) is not None


def _mode(compact: str) -> Mode:
    if len(compact) < 4:
        return Mode.WHOLE
    return Mode.WORD if len(compact) < 6 else Mode.LETTERS if compact.isalpha() else Mode.DIGITS


def _date(kind: Kind, text: str) -> Iterator[Needle]:
    """A date or the date part of a date and time (PS3.5 6.2: DA, DT)."""
    digits = date_digits(text)
    if digits and not harmless_words.is_placeholder_date(digits):
        yield make(kind, digits, Mode.DATE)


def _institution(text: str) -> Iterator[Needle]:
    form = squash(text)
    if form and not all(harmless_words.is_generic(word) for word in form.split()):
        mode = Mode.WHOLE if len(form) < 4 else phrase_mode(form, unspaced=is_unspaced(text))
        yield make(Kind.INSTITUTION, form, mode, text)


def _address(text: str) -> Iterator[Needle]:
    """The address and each line of it that is long enough to be one."""
    for part in dict.fromkeys((text, *_PARTS_OF_ADDRESS.split(text))):
        form = squash(part)
        if len(form) >= _SHORTEST_ADDRESS and not all(harmless_words.is_generic(word) for word in form.split()):
            yield make(Kind.ADDRESS, form, phrase_mode(form, unspaced=is_unspaced(part)), part)


def _phone(text: str) -> Iterator[Needle]:
    """The number as written, as digits only, and without the country; or another way to reach somebody."""
    form = squash(text)
    digits = "".join(letter for letter in form if letter.isdecimal())
    if len(form.replace(" ", "")) >= _SHORTEST_PHONE:
        yield make(Kind.PHONE, form, phrase_mode(form, unspaced=is_unspaced(text)), text)
    if len(digits) >= _SHORTEST_PHONE and len(digits) < 2 * _NATIONAL_NUMBER:
        yield make(Kind.PHONE, digits, Mode.DIGITS)
        if text.strip().startswith("+"):
            yield make(Kind.PHONE, f"00{digits}", Mode.DIGITS)
        if len(digits) > _NATIONAL_NUMBER:
            yield make(Kind.PHONE, digits[-_NATIONAL_NUMBER:], Mode.DIGITS)
