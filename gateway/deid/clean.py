"""Cleaning free text: Clean Descriptors (PS3.15 E.3.5, action C).

A word stays only if it is known to identify nobody (``gateway.deid.words``). In this order:

1. dates, times, ages, telephone numbers and addresses go (``gateway.deid.patterns``), whatever the profile does with
   dates; so do letters that spell a name;
2. what the study's own header names goes (``gateway.deid.context``), also joined, split, or hidden in longer words;
3. persons, addresses and numbers go where a word announces them, such as ``Dr.``, ``calle`` or ``NHC``;
4. numbers stay up to three digits and as measurements with a unit; words of letters and digits stay if machines write
   them so; other words stay if they are terms, or like one (``gateway.deid.likeness``);
5. words that are terms and names stay where such a term may stand (``TC COLON``, not ``TORAX COLON``); colours and
   qualities only in a pair (``long axis``);
6. weak words (``head`` is a part of the body and a surname, ``de`` a part of both, and what is only like a term may be
   a name of another language) go beside a word that went, and so do terms that are a misspelling of one of the study's
   names;
7. a negation and what it denies stay or go together, and a side stays only with its part.

Words are compared without case and accents; the text keeps its own spelling, line breaks and punctuation.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate
from typing import Final

from gateway.deid import patterns
from gateway.deid.context import Context
from gateway.deid.misread import masked
from gateway.deid.words import Words, fold, words_of
from gateway.dicom.tag import show
from gateway.dicom.vr import VALUE_REPRESENTATIONS
from gateway.errors import RuleFailed
from gateway.profile import Program

__all__ = ["Cleaner"]

_CLEANABLE: Final = frozenset((b"CS", b"LO", b"LT", b"SH", b"ST", b"UC", b"UT"))
#: Letters in circles, squares and flags are letters as well.
_LETTER: Final = r"[^\W_]|[\u2460-\u24ff\u3200-\u33ff\U0001f100-\U0001f1ff]"
#: VRs whose text may have lines.
_LINES: Final = frozenset((b"LT", b"ST", b"UT"))
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_CONTROL_OR_LINE: Final = re.compile(r"[\x00-\x1f\x7f]")
_TOKEN: Final = re.compile(rf"(?:{_LETTER})(?:{_LETTER}|[\u0300-\u036f\u20dd-\u20e4])*")
_PIECE: Final = re.compile(r"\d+|[^\W\d_]+")
_HUMP: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
#: Matrix sizes (512x512, 2x2x2) and b-values (b1000).
_MEASURE: Final = re.compile(r"\d{1,4}x\d{1,4}|\d{1,3}x\d{1,3}x\d{1,3}|b\d{1,4}")
#: What may stand between the letters of a name that is spelt, or of initials.
_SPELLING: Final = re.compile(r"[ .\u00b7]{1,2}")
#: A part of the body may stand behind these.
_OPENING: Final = re.compile(r"\s*[/+&(\[;:][\s(\[]*")
#: Separators of decimals and of the groups of a number.
_IN_NUMBER: Final = re.compile(r"[ ]?[-/.() ][ ]?\(?")
#: A separator that may stand for what went between two words that stay.
_PLAIN_SEPARATOR: Final = re.compile(r"[ _.,:;/+-]+")
#: Modalities of which Digital Radiography is one: "RX DR".
_OF_X_RAYS: Final = frozenset(
    ("rx", "rxs", "rad", "xr", "xray", "rayos", "radiografia", "radiografias", "radiograph", "radiographs",
     "radiografie", "radiographie", "radio", "rontgen", "roentgen", "ro", "rtg", "rf",
     "cr", "dr", "dx", "fluoro", "telerx", "fl")
)  # fmt: skip
#: Titles, written with one capital letter, that are units or techniques otherwise.
_TITLES: Final = frozenset(("hr", "ms"))
_BRACKETS: Final = {")": "(", "]": "[", "}": "{", ">": "<"}
_MOST_DIGITS: Final = 3
_MOST_DIGITS_WITH_UNIT: Final = 4
#: Names from this length on are also found inside longer words, as the leak scan finds them.
_LONG_NAME: Final = 6
#: Shorter names are not looked for in several words joined, such as ``C O S T A``.
_SHORTEST_JOINED: Final = 4
#: A name counts as misspelt with one letter wrong, from ``_LONG`` letters on with two.
_SHORTEST_MISSPELT, _LONG = 4, 8
_SHORTEST_HIDDEN: Final = 6
#: Fewer digits may stand in a number by chance.
_FEWEST_DIGITS: Final = 6
#: Results of longer texts are not remembered (promise P8).
_LONGEST_REMEMBERED: Final = 512
#: Unknown words of a study that are told.
_MOST_UNKNOWN: Final = 200
#: Values that are remembered; each keeps the context of its study.
_MOST_CLEANED: Final = 512


class _Fate(IntEnum):
    """What becomes of a word. ``WHO`` and ``UNKNOWN`` may be part of a name, so that weak words beside them go."""

    STAYS = 0
    WEAK = 1
    NUMBER = 2
    UNKNOWN = 3
    WHO = 4

    @property
    def goes(self) -> bool:
        return self >= _Fate.NUMBER


class Cleaner:
    """Cleans the free text of one instance.

    Parameters
    ----------
    program
        its site vocabulary stays; it says what is done with words that nobody knows
    context
        what identifies the instance's study
    """

    __slots__ = ("_context", "_hold", "_vocabulary", "unknown")

    def __init__(self, program: Program, context: Context) -> None:
        self._vocabulary = program.vocabulary
        self._hold = program.when_unsure == "hold"
        self._context = context
        #: Words of the study that went because nobody knows them, folded; at most ``_MOST_UNKNOWN``.
        self.unknown: set[str] = set()

    def text(self, tag: int, vr: bytes, text: str, *, keeps_unknown: bool = False) -> str | None:
        """What may stay of the value of an element.

        Parameters
        ----------
        tag, vr
            the element
        text
            its decoded value, several values separated by backslashes where the VR has several (PS3.5 6.4)
        keeps_unknown
            whether only words with a name of the header's persons or institutions go

        Returns
        -------
        The text, as it was if nothing in it identifies; several values keep their places. A value of VR CS stays whole
        or goes. None if nothing is left, or if the VR is no free text.

        Raises
        ------
        RuleFailed
            the program holds where a word is not known, and one is not
        """
        if vr not in _CLEANABLE:
            return None
        values = text.split("\\") if VALUE_REPRESENTATIONS[vr].several else [text]
        if keeps_unknown:
            cleaned = [_Value(words_of(self._vocabulary), self._context, value).unnamed() for value in values]
        else:
            cleaned = [self._value(tag, value) for value in values]
        if vr == b"CS":
            cleaned = [one if one == value else "" for one, value in zip(cleaned, values, strict=True)]
        if cleaned == values:
            return text if text.strip(" \0") else None
        # What is written anew has only the control characters that its VR allows (PS3.5 6.1.3).
        controls = _CONTROL if vr in _LINES else _CONTROL_OR_LINE
        written = [controls.sub(" ", one).strip(" ") for one in cleaned]
        return "\\".join(written) if any(written) else None

    def identifies(self, text: str) -> bool:
        """Whether ``text``, such as a code of a private scheme, holds what the study's header names or a date."""
        identifies = _identifies if len(text) <= _LONGEST_REMEMBERED else _identifies.__wrapped__
        return identifies(self._vocabulary, self._context, text)

    def knows_number(self, digits: str) -> bool:
        """Whether the header has ``digits`` as an identifier, or as a part of one, or one as a part of them."""
        runs = ("".join(filter(str.isdecimal, form)) for form in self._context.phrases)
        return any(digits in run or (len(run) >= _FEWEST_DIGITS and run in digits) for run in runs)

    def vouches(self, text: str) -> bool:
        """Whether every word of ``text``, such as a code of a private scheme, is known to identify nobody."""
        clean = _clean if len(text) <= _LONGEST_REMEMBERED else _clean.__wrapped__
        return clean(self._vocabulary, self._context, text)[0] == text

    def _value(self, tag: int, text: str) -> str:
        clean = _clean if len(text) <= _LONGEST_REMEMBERED else _clean.__wrapped__
        cleaned, unknown = clean(self._vocabulary, self._context, text)
        if unknown and len(self.unknown) < _MOST_UNKNOWN:
            self.unknown.update(unknown)
        if unknown and self._hold:
            raise RuleFailed(where=show(tag), reason="the text holds words that are not known to identify nobody")
        return cleaned


@lru_cache(maxsize=_MOST_CLEANED)
def _clean(vocabulary: frozenset[str], context: Context, text: str) -> tuple[str, frozenset[str]]:
    """One value cleaned, and the words that went only because they are unknown."""
    return _Value(words_of(vocabulary), context, text).cleaned()


@lru_cache(maxsize=_MOST_CLEANED)
def _identifies(vocabulary: frozenset[str], context: Context, text: str) -> bool:
    """Whether a text holds what the study's header names or a date."""
    return _Value(words_of(vocabulary), context, text).identifies()


class _Value:
    """One value on its way through the cleaner."""

    def __init__(self, words: Words, context: Context, text: str) -> None:
        self._words = words
        self._context = context
        self._text = text
        plain = masked(unicodedata.normalize("NFC", text))
        self._plain = plain
        matches = list(_TOKEN.finditer(plain))
        self._spans = [match.span() for match in matches]
        self._tokens = [fold(match.group()) for match in matches]
        self._fates = [_Fate.STAYS] * len(matches)
        #: Words that say something with their neighbour only, such as those of "s/c".
        self._whole: set[int] = set()
        #: Where each word ends in the text of all words joined.
        self._ends = list(accumulate(len(token) for token in self._tokens))

    def cleaned(self) -> tuple[str, frozenset[str]]:
        self._by_pattern()
        self._by_context()
        self._by_announcement()
        unknown = self._by_vocabulary()
        self._neighbours()
        if any(fate.goes for fate in self._fates):
            self._negations()
            self._sides()
        if not any(fate.goes for fate in self._fates):
            return self._text, frozenset()
        if not any(self._says_something(number) for number in range(len(self._tokens))):
            return "", unknown
        return self._rebuilt(), unknown

    def unnamed(self) -> str:
        """The text without the words that hold a name of the study's persons or institutions."""
        joined = "".join(self._tokens)
        for form in (*self._context.sites, *self._context.names):
            if len(form) >= _SHORTEST_JOINED:
                self._joined(joined, form, aligned=form.isdecimal())
        if not any(fate.goes for fate in self._fates):
            return self._text
        return "" if all(fate.goes for fate in self._fates) else self._rebuilt()

    def identifies(self) -> bool:
        self._by_pattern()
        self._by_context()
        return any(fate.goes for fate in self._fates)

    def _mark(self, start: int, stop: int, fate: _Fate) -> None:
        for number in range(start, stop):
            self._fates[number] = max(self._fates[number], fate)

    def _by_pattern(self) -> None:
        starts = [start for start, _ in self._spans]
        stops = [stop for _, stop in self._spans]
        windows = patterns.windows(self._plain)
        for begin, end in patterns.spans(self._plain):
            if not any(first <= begin and end <= last for first, last in windows):
                self._mark(bisect_right(stops, begin), bisect_left(starts, end), _Fate.NUMBER)
        for begin, end in (*windows, *patterns.abbreviations(self._plain)):
            for number in range(bisect_right(stops, begin), bisect_left(starts, end)):
                self._whole.add(number)
        self._spelt()

    def _spelt(self) -> None:
        """Mark single letters that spell a name, ``M A R I S O L``, or are initials, ``L.Z.I.``; not ``A.P.``."""
        tokens, number = self._tokens, 0
        while number < len(tokens):
            stop = number + 1
            if len(tokens[number]) == 1 and tokens[number].isalpha():
                while (
                    stop < len(tokens)
                    and len(tokens[stop]) == 1
                    and tokens[stop].isalpha()
                    and _SPELLING.fullmatch(self._separator(stop))
                ):
                    stop += 1
                dotted = all("." in self._separator(other) for other in range(number + 1, stop))
                if stop - number > (1 if dotted else 2) and "".join(tokens[number:stop]) not in self._words.safe:
                    self._mark(number, stop, _Fate.WHO)
            number = stop

    def _by_context(self) -> None:
        context, tokens = self._context, self._tokens
        if not (context.names or context.phrases or context.short):
            return
        joined = "".join(tokens)
        if joined in context.short or joined in context.names:
            self._mark(0, len(tokens), _Fate.WHO)
        for number, token in enumerate(tokens):
            pieces = {token, *_PIECE.findall(token)}
            if any(len(piece) > 2 and piece in context.names for piece in pieces):
                self._mark(number, number + 1, _Fate.WHO)
        for form in context.phrases:
            self._joined(joined, form, aligned=len(form) < _SHORTEST_HIDDEN)
        for name in context.names:
            if len(name) >= _SHORTEST_JOINED:
                self._joined(joined, name, aligned=len(name) < _LONG_NAME)

    def _joined(self, joined: str, form: str, *, aligned: bool) -> None:
        """Mark the words in whose joined text ``form`` occurs: whole words only, if ``aligned``."""
        at = joined.find(form)
        while at >= 0:
            end = at + len(form)
            first = bisect_right(self._ends, at)
            last = bisect_left(self._ends, end)
            begins = at == (self._ends[first - 1] if first else 0)
            if not aligned or (begins and end == self._ends[last]):
                self._mark(first, last + 1, _Fate.WHO)
            at = joined.find(form, end)

    def _by_announcement(self) -> None:
        words, tokens, done = self._words, self._tokens, 0
        for number, token in enumerate(tokens):
            measured = number > 0 and tokens[number - 1].isdecimal()
            title = token in _TITLES and not measured and self._is_capital(number)
            if title or (token in words.person and not self._is_term_here(number)):
                self._person(number)
            elif token in words.address and number >= done:
                done = number + 1
                while done < len(tokens) and tokens[done] not in words.safe and not self._breaks(done):
                    done += 1
                self._mark(number, done, _Fate.WHO)
            elif token in words.number:
                self._number(number)
            elif token in words.age and len(token) > 1 and number and tokens[number - 1].isdecimal():
                self._mark(number - 1, number + 1, _Fate.NUMBER)

    def _is_term_here(self, number: int) -> bool:
        """Whether a word that may announce a person is a term: ``DR TORAX``, but not ``Dr. Torax``, ``ECO Dr Pie``."""
        words, tokens = self._words, self._tokens
        if tokens[number] not in words.safe:
            return False
        if self._separator(number + 1).lstrip(" ").startswith((".", ":")):
            return False
        if number + 1 == len(tokens) or not tokens[number + 1].isalpha():
            return True
        # MR C-Spine
        following = number + 2 if len(tokens[number + 1]) == 1 and self._separator(number + 2) == "-" else number + 1
        if following == len(tokens) or not self._is_hump(tokens[following]):
            return False
        return not self._is_title(number, tokens[following])

    def _is_title(self, number: int, following: str) -> bool:
        """Whether ``dr``, ``mr`` and the like before a word that is known are a title, by how and where they stand.

        Written as one, ``Mr``, it is a title but for a first word before what is no name, as in ``Mr Brain``. Of
        other spelling ``dr`` is one behind a modality to which it does not belong: ``ECO DR PIE``, not ``RX DR PIE``,
        and in the midst of a text before what is a name: ``TORAX DR MANO``, not ``TORAX DR PA``.
        """
        words, before = self._words, self._tokens[number - 1] if number else ""
        if following in words.negations | words.joining | words.sides:
            return False
        if self._is_capital(number):
            return bool(number) or following not in words.safe
        if self._tokens[number] != "dr" or not before or before in _OF_X_RAYS:
            return False
        return before in words.modalities or following in words.names

    def _is_capital(self, number: int) -> bool:
        """Whether a word has one capital letter, its first."""
        start, stop = self._spans[number]
        return self._plain[start:stop].istitle()

    def _person(self, number: int) -> None:
        tokens, stop = self._tokens, number + 1
        while stop < len(tokens) and tokens[stop] in self._words.particles and not self._breaks(stop):
            stop += 1
        if stop < len(tokens) and tokens[stop].isalpha() and not self._breaks(stop):
            stop += 1
        self._mark(number, stop, _Fate.WHO)

    def _number(self, number: int) -> None:
        tokens, stop = self._tokens, number + 1
        while stop < len(tokens) and tokens[stop] in ("n", "no", "num", "nr") and not self._breaks(stop):
            stop += 1
        first = stop
        while stop < len(tokens) and any(letter.isdecimal() for letter in tokens[stop]) and not self._breaks(stop):
            stop += 1
        if stop > first:
            self._mark(number, stop, _Fate.NUMBER)

    def _by_vocabulary(self) -> frozenset[str]:
        unknown: set[str] = set()
        for number, token in enumerate(self._tokens):
            if self._fates[number] is _Fate.STAYS and number not in self._whole:
                fate = self._judged(number, token)
                self._fates[number] = fate
                if fate is _Fate.UNKNOWN:
                    unknown.add(token)
        for number, token in enumerate(self._tokens):
            if token in self._words.names and self._fates[number] in (_Fate.WEAK, _Fate.UNKNOWN):
                self._street(number)
        return frozenset(unknown)

    def _judged(self, number: int, token: str) -> _Fate:
        words = self._words
        if token in words.safe:
            return _Fate.STAYS
        if any((other, token) in words.pairs for other in self._beside(number)):
            return _Fate.WEAK
        if token in words.weak:
            goes = token in words.qualities or (token in words.names and not self._is_in_place(number))
            return _Fate.UNKNOWN if goes else _Fate.WEAK
        if token.isdecimal():
            most = _MOST_DIGITS_WITH_UNIT if self._unit_follows(number) else _MOST_DIGITS
            return _Fate.STAYS if len(token) <= most else _Fate.NUMBER
        if token in words.units and number and self._tokens[number - 1].isdecimal():
            return _Fate.STAYS
        if any(letter.isdecimal() for letter in token):
            return self._mixed(token)
        humps = [fold(hump) for hump in _HUMP.findall(self._plain[slice(*self._spans[number])])]
        joined = len(humps) > 1 and "".join(humps) == token and all(map(self._is_hump, humps))
        if patterns.is_technical(token) or (joined and not any(map(words.likeness.is_term, humps))):
            return _Fate.STAYS
        if not joined and not words.likeness.is_term(token):
            return _Fate.UNKNOWN
        # Like a term, and so are names of another language: not in what is written as a name, nor beside one.
        return _Fate.UNKNOWN if self._is_in_person_name(number) else _Fate.WEAK

    def _is_in_person_name(self, number: int) -> bool:
        """Whether a word stands at a caret, which parts the components of a name (PS3.5 6.2.1)."""
        return "^" in self._separator(number) or "^" in self._separator(number + 1)

    def _beside(self, number: int) -> list[str]:
        return [self._tokens[other] for other in (number - 1, number + 1) if 0 <= other < len(self._tokens)]

    def _is_hump(self, hump: str) -> bool:
        words = self._words
        return hump in words.safe or (hump in words.weak and len(hump) > 1) or words.likeness.is_term(hump)

    def _is_in_place(self, number: int) -> bool:
        """Whether a part of the body may stand here: first, or behind a technique, a side, a number or a stroke."""
        if number == 0 or self._breaks(number):
            return number + 1 == len(self._tokens) or self._tokens[number + 1] not in self._words.modalities
        before = self._tokens[number - 1]
        if before in self._words.openers or before in self._words.units or any(letter.isdecimal() for letter in before):
            return True
        return _OPENING.fullmatch(self._separator(number)) is not None

    def _street(self, number: int) -> None:
        """Let ``Colon 14`` go: a name with the number of a house, but not ``Head 5.0`` or ``Head 64 slices``."""
        tokens, other = self._tokens, number + 1
        if (
            other < len(tokens)
            and tokens[other].isdecimal()
            and len(tokens[other]) > 1
            and self._separator(other) in (" ", ", ")
        ):
            follows = other + 1
            if follows == len(tokens) or (
                tokens[follows] not in self._words.units and self._separator(follows) not in (".", ",")
            ):
                self._mark(number, other + 1, _Fate.WHO)

    def _unit_follows(self, number: int) -> bool:
        following = number + 1
        return (
            following < len(self._tokens)
            and self._tokens[following] in self._words.units
            and self._separator(following) in ("", " ")
        )

    def _mixed(self, token: str) -> _Fate:
        """A word of letters and digits: ``T12``, ``L5S1``, ``3D``, ``120kV``, ``512x512``; not ``H123`` or ``AB12``."""
        words = self._words
        if _MEASURE.fullmatch(token):
            return _Fate.STAYS
        pieces = _PIECE.findall(token)
        digits = sum(len(piece) for piece in pieces if piece.isdecimal())
        letters = [piece for piece in pieces if not piece.isdecimal()]
        if len(pieces) == 2 and pieces[0].isdecimal() and digits > 1 and pieces[1] in words.age:
            return _Fate.NUMBER
        if len(pieces) == 2 and pieces[0].isdecimal() and pieces[1] in words.units:
            return _Fate.STAYS if digits <= _MOST_DIGITS_WITH_UNIT else _Fate.NUMBER
        if patterns.is_technical(token):
            return _Fate.STAYS
        if "".join(pieces) != token or digits > _MOST_DIGITS:
            return _Fate.NUMBER
        if all(self._is_hump(piece) for piece in letters):
            return _Fate.STAYS
        if digits < _MOST_DIGITS and all(len(piece) == 1 or piece in words.safe for piece in letters):
            return _Fate.STAYS
        return _Fate.UNKNOWN

    def _neighbours(self) -> None:
        """Let words go with their neighbours.

        Weak words, misspelt names and names of two letters go beside what may be part of a name; particles go beside
        whatever goes.
        """
        waiting = [number for number, fate in enumerate(self._fates) if fate.goes]
        while waiting:
            number = waiting.pop()
            for other in (number - 1, number + 1):
                if not 0 <= other < len(self._tokens) or self._breaks(max(number, other)):
                    continue
                fate, token = self._fates[other], self._tokens[other]
                if (other in self._whole and not fate.goes) or self._is_joined_before(other):
                    continue
                if self._fates[number] is _Fate.NUMBER and fate is _Fate.STAYS and self._goes_on(min(number, other)):
                    self._fates[other] = _Fate.NUMBER
                elif token in self._words.particles and fate is _Fate.WEAK:
                    self._fates[other] = self._fates[number]
                elif self._fates[number] >= _Fate.UNKNOWN and (
                    fate is _Fate.WEAK or (fate is _Fate.STAYS and self._may_be_name(token))
                ):
                    self._fates[other] = _Fate.WHO
                else:
                    continue
                waiting.append(other)

    def _is_joined_before(self, number: int) -> bool:
        """Whether a short word is the end of a compound whose beginning stays: ``follow-up``."""
        return (
            number > 0
            and self._tokens[number] in self._words.particles
            and self._separator(number) == "-"
            and self._fates[number - 1] is _Fate.STAYS
        )

    def _goes_on(self, number: int) -> bool:
        """Whether word ``number`` and the next are digits of one number, such as the halves of a telephone number."""
        one, two = self._tokens[number], self._tokens[number + 1]
        if not (one.isdecimal() and two.isdecimal()) or self._unit_follows(number + 1):
            return False
        return len(one) + len(two) > _MOST_DIGITS and _IN_NUMBER.fullmatch(self._separator(number + 1)) is not None

    def _negations(self) -> None:
        """Let a negation go with what it denies, and the other way round: ``sin contraste``, ``senza e con mdc``."""
        words, tokens, fates = self._words, self._tokens, self._fates
        number = 0
        while number < len(tokens):
            stop = number + 1
            if tokens[number] in words.negations or (tokens[number] in words.joining and number not in self._whole):
                while (
                    stop < len(tokens)
                    and not self._breaks(stop)
                    and tokens[stop] in words.negations | words.joining | words.particles
                ):
                    stop += 1
                denied = [at for at in range(number, stop) if tokens[at] in words.negations]
                ends = stop + (stop < len(tokens) and not self._breaks(stop))
                if denied and ends > stop and any(fates[at].goes for at in (*denied, *range(stop, ends))):
                    self._mark(number, ends, _Fate.UNKNOWN)
            number = stop

    def _sides(self) -> None:
        """Let a side go if what it is a side of went."""
        words, tokens, fates = self._words, self._tokens, self._fates
        for number, token in enumerate(tokens):
            if (
                token in words.sides
                and not fates[number].goes
                and not any(map(self._is_sided, (self._content(number, -1), self._content(number, 1))))
            ):
                fates[number] = _Fate.UNKNOWN

    def _content(self, number: int, step: int) -> int:
        """The next word in a direction that is no side, particle or number; -1 if the line ends before."""
        words, at = self._words, number
        while 0 <= (at := at + step) < len(self._tokens) and not self._breaks(max(at, at - step)):
            token = self._tokens[at]
            if not (token in words.sides or token in words.particles or token.isdecimal()):
                return at
        return -1

    def _is_sided(self, number: int) -> bool:
        return number >= 0 and not self._fates[number].goes and self._tokens[number] not in self._words.openers

    def _may_be_name(self, token: str) -> bool:
        names = self._context.names
        if len(token) == 2:
            return token in names
        return len(token) >= _SHORTEST_MISSPELT and any(
            len(name) >= _SHORTEST_MISSPELT and _within(token, name, 1 if len(name) < _LONG else 2) for name in names
        )

    def _says_something(self, number: int) -> bool:
        """Whether a word that stays would say something without the others."""
        words, token = self._words, self._tokens[number]
        return not self._fates[number].goes and not (
            token.isdecimal()
            or token in words.particles
            or token in words.negations
            or token in words.sides
            or number in self._whole
        )

    def _separator(self, number: int) -> str:
        """What stands between the word before ``number`` and that word."""
        start = self._spans[number - 1][1] if number else 0
        stop = self._spans[number][0] if number < len(self._spans) else len(self._plain)
        return self._plain[start:stop]

    def _breaks(self, number: int) -> bool:
        """Whether a line ends before word ``number``."""
        return "\n" in (separator := self._separator(number)) or "\r" in separator or "\f" in separator

    def _rebuilt(self) -> str:
        """The words that stay with what stood between them."""
        parts: list[str] = []
        last = -1
        for number, fate in enumerate(self._fates):
            if fate.goes:
                continue
            if last < 0:
                parts.append(self._separator(0) if number == 0 else "")
            elif last == number - 1:
                parts.append(self._separator(number))
            else:
                parts.append(self._joint(last, number))
            start, stop = self._spans[number]
            parts.append(self._plain[start:stop])
            last = number
        if last == len(self._tokens) - 1:
            parts.append(self._separator(len(self._tokens)))
        return _balanced("".join(parts)).strip(" ")

    def _joint(self, last: int, number: int) -> str:
        """What stands between two words that stay where others went."""
        between = [self._separator(other) for other in range(last + 1, number + 1)]
        for separator in between:
            lines = re.search(r"\s*[\r\n\f]+\s*", separator)
            if lines:
                return lines.group()
        return between[0] if _PLAIN_SEPARATOR.fullmatch(between[0]) else " "


def _balanced(text: str) -> str:
    """``text`` without brackets that lost their counterpart, and without empty ones."""
    gone: set[int] = set()
    opened: list[int] = []
    for position, letter in enumerate(text):
        if letter in _BRACKETS.values():
            opened.append(position)
        elif letter in _BRACKETS:
            if opened and text[opened[-1]] == _BRACKETS[letter]:
                opened.pop()
            else:
                gone.add(position)
    gone.update(opened)
    return "".join(letter for position, letter in enumerate(text) if position not in gone) if gone else text


def _within(one: str, two: str, most: int) -> bool:
    """Whether at most ``most`` letters must be inserted, left out or changed to make ``two`` of ``one``."""
    if abs(len(one) - len(two)) > most:
        return False
    row = list(range(len(two) + 1))
    for number, letter in enumerate(one, start=1):
        above, row[0] = row[0], number
        for position, other in enumerate(two, start=1):
            above, row[position] = (
                row[position],
                min(row[position] + 1, row[position - 1] + 1, above + (letter != other)),
            )
        if min(row) > most:
            return False
    return row[-1] <= most
