"""What is searched for of a person's name (PS3.5 6.2.1).

Each word of each component of each component group. A *weak* word has less than four letters or is a medical term: by
itself it is excused in many places. Two weak words of one person side by side are that person, in either order, apart
or joined. In scripts that are written without spaces components are searched joined, since one ideograph is no name.

Of a word with accents also what programs make of it that do not know its character set: letters that became question
marks or vanished, UTF-8 read as Latin-1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations
from typing import Final

from gateway.dicom.identifying import Kind
from gateway.verify import harmless_words
from gateway.verify.needle import Mode, Needle, make
from gateway.verify.text_normalisation import squash, transcribed

__all__ = ["is_unspaced", "name_needles"]

_PUNCTUATION_INSIDE: Final = re.compile(r"(?<=\w)['`\u2019\u00b4-](?=\w)")
_SEPARATORS: Final = ("", " ", "^")
#: Scripts written without spaces: Thai, Lao, Tibetan, Burmese; hangul letters; Khmer; kana, ideographs, hangul.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_SHORT: Final = 4
#: A word of this length is found inside others.
_LONG: Final = 6
#: Words of a name whose pairs are searched.
_MOST_WEAK: Final = 8
#: What is left of a word without its accented letters is no word when it is shorter.
_SHORTEST_MAIMED: Final = 5


def is_unspaced(text: str) -> bool:
    """Whether ``text`` has letters of a script that is written without spaces."""
    return not text.isascii() and _UNSPACED.search(text) is not None


def name_needles(text: str) -> Iterator[Needle]:
    """The needles of a person's name, all its component groups."""
    seen: set[str] = set()
    for component in re.split(r"[\^=]", text):
        spelled = dict.fromkeys((component, _PUNCTUATION_INSIDE.sub("", component), transcribed(component)))
        for spelling in (word for one in spelled for word in re.findall(r"\w+", one)):
            for form in squash(spelling).split():
                needle = None if form in seen else _word(form, spelling)
                if needle is not None:
                    seen.add(form)
                    yield needle
    for group in text.split("="):
        yield from _joined(group) if is_unspaced(group) else _pairs(group)
    if not text.isascii():
        yield from _maimed(text)
    form = squash(text)
    if not seen and len(form) > 1:
        # Nothing but particles.
        yield make(Kind.NAME, form, Mode.PAIR if form.count(" ") > 1 else Mode.WHOLE, text)


def _word(form: str, spelling: str) -> Needle | None:
    if is_unspaced(spelling):
        return make(Kind.NAME, form, Mode.PART if len(spelling) > 1 else Mode.WHOLE, spelling)
    if not form.isalpha():
        if len(form) < _SHORT or not form.isalnum():
            return None
        mode = Mode.WORD if len(form) < 6 else Mode.DIGITS
        return make(Kind.NAME, form, mode, spelling)
    if len(form) < 2 or harmless_words.is_accessory(form):
        return None
    mode = {2: Mode.WHOLE, 3: Mode.WORD, 4: Mode.LETTERS, 5: Mode.LETTERS}.get(len(form), Mode.PART)
    return make(Kind.NAME, form, mode, spelling)


def is_weak(form: str) -> bool:
    """Whether a word of a name is excused in many places."""
    return len(form) < _SHORT or form in harmless_words.vocabulary() or harmless_words.is_vendor(form)


def _pairs(group: str) -> Iterator[Needle]:
    """Two words of one name, not both a particle, a title or a maker: weak ones side by side, short ones joined."""
    words = [form for form in dict.fromkeys(squash(group).split()) if len(form) > 1 and form.isalpha()]
    candidates = [form for form in words if (is_weak(form) or len(form) < _LONG) and not harmless_words.is_title(form)]
    for one, two in permutations(candidates[:_MOST_WEAK], 2):
        if harmless_words.is_accessory(one) and harmless_words.is_accessory(two):
            continue
        if harmless_words.is_vendor(one) and harmless_words.is_vendor(two):
            continue
        if is_weak(one) and is_weak(two):
            yield make(Kind.NAME, f"{one} {two}", Mode.PAIR)
        joined = f"{one}{two}"
        if len(joined) >= _SHORT:
            yield make(Kind.NAME, joined, Mode.PAIR if len(joined) < _LONG else Mode.PART)


def _joined(group: str) -> Iterator[Needle]:
    """The components of a name in an unspaced script, joined in both orders."""
    components = [component.replace(" ", "") for component in group.split("^")[:3]]
    components = [component for component in components if component]
    orders = [components, components[::-1], *permutations(components[:2])] if len(components) > 1 else []
    for order in dict.fromkeys(tuple(order) for order in orders):
        for separator in _SEPARATORS:
            spelling = separator.join(order)
            yield make(Kind.NAME, squash(spelling), Mode.PART, spelling)
    if len(components) == 1 and len(components[0]) > 1 and " " in group.strip():
        yield make(Kind.NAME, squash(components[0]), Mode.PART, components[0])


def _maimed(text: str) -> Iterator[Needle]:
    """Words whose accented letters became something else."""
    for word in re.findall(r"\w+", text):
        if word.isascii() or is_unspaced(word):
            continue
        forms = {squash("".join(letter if letter.isascii() else "?" for letter in word))}
        forms.add(_dropped(word))
        for cased in (word, word.lower(), word.upper()):
            forms.update(squash(cased.encode("utf-8").decode(codec, "ignore")) for codec in ("latin-1", "cp1252"))
        for form in sorted(forms):
            if len(form.replace(" ", "")) >= _SHORTEST_MAIMED:
                yield make(Kind.NAME, form, Mode.LETTERS)


def _dropped(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isascii())
