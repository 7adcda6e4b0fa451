"""The leak scan: looking for an original's identifying values in an output (promise P11).

A first pass joins all text of the output and asks for each needle whether it occurs at all, which costs microseconds.
Only what occurs is then looked at element by element, where these rules keep chance and defined terms from being taken
for leaks:

| where | what counts |
|---|---|
| text VRs | everything |
| SH, AE, CS, text in binary values | needles of at least four characters |
| CS, codes of standard schemes | not what consists of medical vocabulary or numbers below seven digits |
| SH, AE | not a name that consists of medical vocabulary or of manufacturers' names |
| maker, model, software and methods of a device | not manufacturers' names, vocabulary, numbers below six digits |
| code and meaning as the standard's dictionary has them, creators of known private blocks | nothing |
| the gateway's own stamps | not the words of its own texts |
| DA, DT, TM | dates, at the beginning of a value |
| IS, DS, private elements of binary numbers | whole numbers of at least seven digits |
| UI | whole UIDs, and UIDs that continue an original one |
| other binary values | needles of at least six bytes; runs of text between bytes, UTF-16 too; what is compressed |
| compressed Pixel Data | comment and application segments, as other binary values |

Two weak words of one person's name side by side count everywhere but in the gateway's own stamps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Final, NamedTuple

from gateway.dicom import coded_concepts as codes
from gateway.dicom.charset import DEFAULT_REPERTOIRE, CharacterSets, character_sets
from gateway.dicom.comments import comments
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.identifying import Kind
from gateway.dicom.tag import PIXEL_DATA, is_private_creator, show
from gateway.dicom.transfer_syntax import transfer_syntax
from gateway.errors import LimitExceeded
from gateway.profile import Program
from gateway.profile.safe_private import SAFE_PRIVATE
from gateway.remembering import BoundedMapping
from gateway.verify import harmless_words
from gateway.verify.binary import is_textual, opened, runs
from gateway.verify.dates_in_text import NO_DATES, Dates, date_digits, dates_in
from gateway.verify.excuse import FREE_TEXT, Place, counts
from gateway.verify.harvest import SPECIFIC_CHARACTER_SET
from gateway.verify.needle import Mode, Needle, closed
from gateway.verify.numeric import digits_of, whole_numbers
from gateway.verify.output_reader import PIXELS, Output
from gateway.verify.recollection import Recollection
from gateway.verify.text_normalisation import squash, squash_bytes
from gateway.verify.text_readings import dates, is_escaped, readings, values
from gateway.version import SOFTWARE

__all__ = ["Hit", "Scanner"]

_TEXT: Final = FREE_TEXT | {b"AE", b"CS", b"SH", b"UR"}
_NUMBERS: Final = frozenset((b"DS", b"IS"))
_DATES: Final = frozenset((b"DA", b"DT", b"TM"))
_SEARCHED_AS: Final = {
    **dict.fromkeys(_TEXT, "text"), **dict.fromkeys(_NUMBERS, "number"), **dict.fromkeys(_DATES, "date"),
    b"UI": "uid", b"AS": "",
}  # fmt: skip
#: What belongs in values of these VRs. Where there is more, a text may hide.
_PLAIN_VALUES: Final[dict[str | None, bytes]] = {
    "number": b"0123456789+-.eE\\ \0",
    "date": b"0123456789+-.:\\ \0",
    "uid": b"0123456789.\\ \0",
    "": b"0123456789DWMY\\ \0",
}
_CODE_VALUE, _DESIGNATOR, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
_METHOD, _METHOD_CODES = 0x00120063, 0x00120064
#: Transfer syntax, implementation class and version: the gateway's own, which the assertion compares.
_OWN_META: Final = frozenset((0x00020010, 0x00020012, 0x00020013))
_UID: Final = re.compile(rb"(?<![0-9])(?<![0-9]\.)[0-2](?:\.[0-9]+){3,}")
#: PS3.5 9.1, in characters.
_LONGEST_UID: Final = 64
#: A UID with fewer components or characters may begin others by chance.
_LEAST_PREFIX: Final = (4, 16)
_SHORTEST_BINARY: Final = 6
_ODD_GROUP: Final = 0x00010000
#: A longer list of binary numbers is a table or a picture, in which any number stands by chance.
_LONGEST_NUMBERS: Final = 1024
_CHUNK: Final = 1 << 20
_OVERLAP: Final = 4096
_MOST_HITS: Final = 20
#: Compressed content inside compressed content.
_MOST_DEPTH: Final = 2
#: Studies that come at the same time.
_MOST_CLEAN: Final = 32
#: Sets of needles never have the same number.
_NUMBERS_OF_NEEDLES: Final = count()
#: Needles times bytes; seconds of work (promise P7).
_MOST_WORK: Final = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Hit:
    """An identifying value found: where in the output, and what kind of value it is."""

    where: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}"


class Scanner:
    """Searches outputs of one program.

    Parameters
    ----------
    program
        its stamps are known words
    """

    def __init__(self, program: Program) -> None:
        texts = (SOFTWARE, "Profile Digest", program.profile, program.version, program.digest, program.digest[:32])
        codes = (text for code in program.codes for text in (code.value, code.scheme, code.meaning))
        self._parts = Recollection[_Part]()
        #: Parts remember numbers: each with needles of its own would hold those of all studies that passed lately.
        self._numbers: BoundedMapping[frozenset[Needle], int] = BoundedMapping(_MOST_CLEAN)
        creators = (*(rule.creator for rule in program.private_elements), *(creator for *_, creator in SAFE_PRIVATE))
        self._creators = frozenset(creator.upper() for creator in creators)
        self._own = {
            _METHOD: frozenset(word for text in texts for word in squash(text).split()),
            _METHOD_CODES: frozenset(word for text in codes for word in squash(text).split()),
        }

    def hits(
        self,
        output: Output,
        source: Buffer,
        needles: Iterable[Needle],
        uids: frozenset[str],
        kept: frozenset[str] = frozenset(),
    ) -> list[Hit]:
        """Where ``output`` holds what it must not.

        Parameters
        ----------
        output
            the output as read back
        source
            the bytes of the received file, where the output's holes are
        needles, uids
            what must not be found
        kept
            UIDs that a rule keeps, even if they continue another

        Returns
        -------
        The hits in the order of the output, at most 20; none for a clean output.

        Raises
        ------
        LimitExceeded
            so many needles and so much text that the search would take minutes
        """
        sought = needles if isinstance(needles, frozenset) else frozenset(needles)
        suspects = self._suspects(output, sought, uids)
        for _tag, vr, buffer, value, end in _long_values(output, source):
            for chunk, last in _chunks(buffer, value, end):
                part = _Blob()
                part.value(vr, chunk, DEFAULT_REPERTOIRE, whole=last)
                suspects |= part.suspects(sought) | _named(part.uids(), uids)
        hits: list[Hit] = []
        if suspects:
            search = _Search(suspects, uids, kept, self._own, self._creators)
            for hit in search.run(output, source):
                hits.append(hit)
                if len(hits) == _MOST_HITS:
                    break
        return hits

    def _suspects(self, output: Output, needles: frozenset[Needle], uids: frozenset[str]) -> set[Needle | str]:
        """The needles and UIDs that may occur in ``output.buffer``; parts that were found clean are not read again."""
        buffer, rest, sets = output.buffer, _Blob(), DEFAULT_REPERTOIRE
        number = self._number(needles)
        rest.level(buffer, output.meta_elements, sets)
        suspects: set[Needle | str] = set()
        known = self._parts.of((output.implicit, sets))
        for raw, elements in output.parts:
            if not raw:
                now = rest.level(buffer, elements, sets, top=True)
            else:
                part = known.get(raw)
                if part is None or number not in part.clean_of:
                    blob = _Blob()
                    now = blob.level(buffer, elements, sets, top=True)
                    if part is None:
                        part = self._parts.keep((output.implicit, sets), raw, _Part(blob.uids(), blob.dates(), now))
                    suspected = blob.suspects(needles, part.dates)
                    if suspected:
                        suspects |= suspected
                    else:
                        part.add(number)
                now = part.behind
                if part.names is None:
                    suspects |= _named(part.uids, uids)
                elif not part.names.isdisjoint(uids):
                    suspects |= part.names & uids
            if now is not sets:
                sets = now
                known = self._parts.of((output.implicit, sets))
        return suspects | rest.suspects(needles) | _named(rest.uids(), uids)

    def _number(self, needles: frozenset[Needle]) -> int:
        """A number that no other set of needles has; the same set may get another one later."""
        number = self._numbers.get(needles)
        if number is None:
            number = self._numbers.keep(needles, next(_NUMBERS_OF_NEEDLES))
        return number


class _Part:
    """What is known of a part of outputs.

    Attributes
    ----------
    uids
        the UIDs in it
    dates
        the dates in its texts
    names
        these and those that one of them may continue; None where there are too many
    behind
        the character sets that hold behind it
    clean_of
        numbers of the sets of needles none of which occurs in it
    """

    __slots__ = ("behind", "clean_of", "dates", "names", "uids")

    def __init__(self, uids: set[str], dates: Dates, behind: CharacterSets) -> None:
        self.uids = uids
        self.dates = dates
        self.names: frozenset[str] | None = None
        if all(len(uid) <= _LONGEST_UID for uid in uids):
            self.names = frozenset(name for uid in uids for name in _names(uid))
        self.behind = behind
        self.clean_of: BoundedMapping[int, None] = BoundedMapping(_MOST_CLEAN)

    def add(self, number: int) -> None:
        """Remember that no needle of the set with this number occurs."""
        self.clean_of[number] = None


class _Blob:
    """All text, dates, numbers, UIDs and binary values of a part of the output, joined."""

    def __init__(self) -> None:
        self._texts: list[bytes] = []
        self._foreign: list[str] = []
        self._raw: list[bytes] = []
        self._numbers: list[bytes] = []
        self._dates: list[bytes] = []
        self._uids: list[bytes] = []
        self._binaries: list[bytes] = []
        #: The dates of texts that are not in ``_texts``.
        self._written: Dates = NO_DATES
        put = {"number": self._numbers.append, "date": self._dates.append, "uid": self._uids.append, "": _pass_over}
        #: VR -> what belongs in its values, and where such values go.
        self._plain = {vr: (_PLAIN_VALUES[kind], put[kind]) for vr, kind in _SEARCHED_AS.items() if kind in put}

    def level(self, buffer: bytes, elements: list[Element], sets: CharacterSets, *, top: bool = False) -> CharacterSets:
        """Add a data set, an item or a part of one; returns the character sets that hold behind it."""
        texts, plain = self._texts.append, self._plain
        for tag, coded_vr, _start, value, end, items in elements:
            if items is not None:
                for item in items:
                    self.level(buffer, item[4], sets)
                continue
            if value == end or (top and tag in PIXELS):
                continue
            # What most elements are is told at once; the rest goes the long way.
            if coded_vr in plain:
                belongs, put = plain[coded_vr]
                raw = buffer[value:end]
                if not raw.translate(None, belongs):
                    put(raw)
                    continue
            elif coded_vr in _TEXT:
                raw = buffer[value:end]
                if tag == SPECIFIC_CHARACTER_SET:
                    sets = character_sets(raw)
                if raw.isascii() and b"\x1b" not in raw and b"%" not in raw and b"&" not in raw:
                    texts(raw)
                    continue
            elif end - value < _SHORTEST_BINARY and coded_vr != b"UN":
                if tag & _ODD_GROUP:
                    self._private_numbers(coded_vr, buffer[value:end])
                continue
            if tag & _ODD_GROUP and end - value <= _LONGEST_NUMBERS:
                self._private_numbers(coded_vr, buffer[value:end])
            vr = _true_vr(tag, coded_vr)
            for chunk, last in _chunks(buffer, value, end):
                self.value(vr, chunk, sets, whole=last)
        return sets

    def value(self, vr: bytes, raw: bytes, sets: CharacterSets, *, whole: bool = True, depth: int = 0) -> None:
        """Add a value, or a piece of it; ``whole``: nothing follows it."""
        searched = _SEARCHED_AS.get(vr)
        if searched in _PLAIN_VALUES and raw.translate(None, _PLAIN_VALUES[searched]):
            self._text(vr, raw, sets)
        match searched:
            case "text":
                self._text(vr, raw, sets)
            case "number":
                self._numbers.append(raw)
            case "date":
                self._dates.append(raw)
            case "uid":
                self._uids.append(raw)
            case None if len(raw) >= _SHORTEST_BINARY:
                if is_textual(raw):
                    self._text(vr, raw, sets)
                else:
                    self._texts.append(runs(raw))
                self._binaries.append(raw.lower())
                self._raw.append(raw)
        if depth < _MOST_DEPTH and not raw.isascii():
            for content in opened(raw, whole=whole):
                self.value(b"UN", content, sets, depth=depth + 1)

    def _private_numbers(self, vr: bytes, raw: bytes) -> None:
        digits = digits_of(vr, raw)
        if digits:
            self._numbers.append(digits)

    def _text(self, vr: bytes, raw: bytes, sets: CharacterSets) -> None:
        if raw.isascii():
            self._texts.append(raw)
        if not raw.isascii() or b"\x1b" in raw or is_escaped(raw):
            self._foreign.extend(readings(raw, vr, sets))
            self._written |= dates(raw, vr, sets)
            self._raw.append(raw)

    def _has_text(self) -> bool:
        return bool(self._texts or self._foreign)

    def uids(self) -> set[str]:
        """The UIDs that occur anywhere."""
        plain = b"\n".join(self._texts)
        return _uids_of(b"\\".join(self._uids), plain, b"\0".join(self._raw))

    def dates(self) -> Dates:
        """The dates in texts, however they are written."""
        plain = b"\n".join(self._texts)
        return self._written | dates_in(plain.decode("ascii"), squash_bytes(plain))

    def suspects(self, needles: frozenset[Needle], written: Dates | None = None) -> set[Needle | str]:
        """The needles that occur anywhere, by whatever rule; ``written``: what ``dates`` returned, if it is known."""
        sought = _sought(needles)
        plain = b"\n".join(self._texts)
        text = " \n ".join((squash_bytes(plain), *self._foreign))
        raw = b"\0\0".join([one for one in self._raw if not one.isascii()])
        binary = b"\0\0".join(self._binaries)
        if len(needles) * (len(text) + len(raw) + len(binary)) > _MOST_WORK:
            raise LimitExceeded(limit=_MOST_WORK, unit="byte comparisons", where="the leak scan")
        suspects: set[Needle | str] = {one for form, one in sought.forms if form in text and one.may_be_in(text)}
        if sought.spaced:
            joined = closed(text)
            suspects.update(one for form, one in sought.spaced if form in joined and one.may_be_in(text))
        if sought.dates and self._has_text():
            written = self.dates() if written is None else written
            suspects.update(one for one in sought.dates if one.is_among(written))
        if self._numbers:
            numbers = _numbers_of(b"\\".join(self._numbers))
            suspects.update(one for number, one in sought.numbers if number in numbers)
        if self._dates:
            days = _dates_of(b"\\".join(self._dates))
            suspects.update(one for one in sought.dates if one.form in days)
        if binary:
            suspects.update(one for form, one in sought.encoded if form in binary)
        if raw:
            suspects.update(one for form, one in sought.raw if form in raw)
        if sought.ascii:
            shown = b"\0\0".join((*self._raw, plain))
            suspects.update(one for form, one in sought.ascii if form in shown)
        return suspects


class _Sought(NamedTuple):
    """A set of needles, by what is looked for: each form with its needle."""

    forms: tuple[tuple[str, Needle], ...]
    spaced: tuple[tuple[str, Needle], ...]
    dates: tuple[Needle, ...]
    numbers: tuple[tuple[str, Needle], ...]
    encoded: tuple[tuple[bytes, Needle], ...]
    raw: tuple[tuple[bytes, Needle], ...]
    #: Of ISO 2022, whose bytes are those of ASCII.
    ascii: tuple[tuple[bytes, Needle], ...]


@lru_cache(maxsize=_MOST_CLEAN)
def _sought(needles: frozenset[Needle]) -> _Sought:
    return _Sought(
        tuple((needle.form, needle) for needle in needles if needle.mode is not Mode.DATE),
        tuple((needle.form, needle) for needle in needles if needle.is_spaced),
        tuple(needle for needle in needles if needle.mode is Mode.DATE),
        tuple((needle.number, needle) for needle in needles if needle.number),
        tuple((form, needle) for needle in needles for form in needle.encoded),
        tuple((form, needle) for needle in needles for form in needle.raw if not form.isascii()),
        tuple((form, needle) for needle in needles for form in needle.raw if form.isascii()),
    )


def _pass_over(raw: bytes) -> None:
    """An age identifies nobody."""


def _uids_of(values: bytes, *texts: bytes) -> set[str]:
    uids = {one.strip(b"\0 ").decode("latin-1") for one in values.split(b"\\")}
    for text in texts:
        if b"." in text:
            uids.update(uid.decode("ascii") for uid in _UID.findall(text))
    return uids


def _made_names(uid: str, longest: int) -> frozenset[str]:
    """``uid`` and the UIDs of at most ``longest`` characters that it may continue."""
    components = uid[: longest + 1].split(".")
    prefixes = (".".join(components[:count]) for count in range(_LEAST_PREFIX[0], len(components)))
    return frozenset((uid, *(prefix for prefix in prefixes if len(prefix) >= _LEAST_PREFIX[1])))


@lru_cache(maxsize=1024)
def _names(uid: str) -> frozenset[str]:
    """``_made_names`` of a UID that is no longer than the standard allows; most outputs share most of theirs."""
    return _made_names(uid, _LONGEST_UID)


def _named(written: set[str], uids: frozenset[str]) -> set[str]:
    """The UIDs among ``uids`` that one of ``written`` is or continues."""
    named: set[str] = set()
    for uid in written:
        names = _names(uid) if len(uid) <= _LONGEST_UID else _made_names(uid, max(map(len, uids), default=0))
        if not names.isdisjoint(uids):
            named |= names & uids
    return named


def _long_values(output: Output, source: Buffer) -> Iterator[tuple[int, bytes, Buffer, int, int]]:
    """The values that are searched besides those of ``output.buffer``: long ones, and what stands beside pixels."""
    for tag, vr, value, end in output.holes:
        if tag not in PIXELS:
            yield tag, vr, source, value, end
    syntax = transfer_syntax(output.meta.transfer_syntax)
    if syntax is None or not syntax.encapsulated:
        return
    pixels: list[tuple[Buffer, int, int]] = [
        (source, value, end) for tag, _vr, value, end in output.holes if tag == PIXEL_DATA
    ]
    element = find(output.elements, PIXEL_DATA)
    if element is not None:
        pixels.append((output.buffer, element[3], element[4]))
    for buffer, value, end in pixels:
        for start, stop in comments(buffer, value, end):
            yield PIXEL_DATA, b"OB", buffer, start, stop


def _chunks(buffer: Buffer, start: int, stop: int) -> Iterator[tuple[bytes, bool]]:
    """A value in pieces that overlap by more than a needle, so that memory stays bounded (promise P8).

    Returns
    -------
    Each piece, and whether it is the last.
    """
    while True:
        end = min(stop, start + _CHUNK)
        yield bytes(buffer[start:end]), end == stop
        if end == stop:
            return
        start = end - _OVERLAP


class _Search:
    """The second pass: element by element, with the rules of the module's table."""

    def __init__(
        self,
        suspects: set[Needle | str],
        uids: frozenset[str],
        kept: frozenset[str],
        own: dict[int, frozenset[str]],
        creators: frozenset[str],
    ) -> None:
        self._needles = [one for one in suspects if isinstance(one, Needle)]
        self._uids = frozenset(one for one in suspects if isinstance(one, str)) & uids
        self._kept = kept
        self._own = own
        self._creators = creators

    def run(self, output: Output, source: Buffer) -> Iterator[Hit]:
        meta = [element for element in output.meta_elements if element[0] not in _OWN_META]
        yield from self._level(output.buffer, meta, DEFAULT_REPERTOIRE, "", frozenset())
        elements = [element for element in output.elements if element[0] not in PIXELS]
        yield from self._level(output.buffer, elements, DEFAULT_REPERTOIRE, "", frozenset())
        for tag, vr, buffer, value, end in _long_values(output, source):
            for chunk, last in _chunks(buffer, value, end):
                kinds = self._value(Place(tag, vr), chunk, DEFAULT_REPERTOIRE, whole=last)
                yield from self._kinds(show(tag), kinds)

    def _level(
        self, buffer: bytes, elements: list[Element], sets: CharacterSets, where: str, own: frozenset[str]
    ) -> Iterator[Hit]:
        scheme = _text_of(buffer, elements, _DESIGNATOR)
        coded = harmless_words.is_standard_scheme(scheme)
        told = _told(buffer, elements, scheme) if coded else frozenset()
        for tag, coded_vr, _start, value, end, items in elements:
            place = f"{where}{show(tag)}"
            known = own if where else self._own.get(tag, own)
            if items is not None:
                for number, item in enumerate(items):
                    yield from self._level(buffer, item[4], sets, f"{place}[{number}]/", known)
                continue
            if tag == SPECIFIC_CHARACTER_SET:
                sets = character_sets(buffer[value:end])
            if tag in told or (is_private_creator(tag) and self._is_creator(buffer[value:end])):
                continue
            vr = _true_vr(tag, coded_vr)
            for chunk, last in _chunks(buffer, value, end):
                kinds = self._value(Place(tag, vr, known, coded), chunk, sets, whole=last)
                yield from self._kinds(place, kinds)

    def _is_creator(self, raw: bytes) -> bool:
        return raw.decode("latin-1").strip("\0 ").upper() in self._creators

    def _kinds(self, where: str, kinds: Iterable[Kind]) -> Iterator[Hit]:
        return (Hit(where, kind) for kind in dict.fromkeys(kinds))

    def _value(
        self, place: Place, raw: bytes, sets: CharacterSets, *, whole: bool = True, depth: int = 0
    ) -> Iterator[Kind]:
        vr = place.vr
        searched = _SEARCHED_AS.get(vr)
        hidden = searched in _PLAIN_VALUES and bool(raw.translate(None, _PLAIN_VALUES[searched]))
        binary = searched is None
        textual = searched == "text" or hidden or (binary and is_textual(raw))
        if self._uids:
            named = _uids_of(raw) if searched == "uid" else _uids_of(b"", raw)
            if _named(named - self._kept, self._uids):
                yield Kind.UID
        text = raw if textual else runs(raw) if binary else b""
        texts = values(text, vr, sets) if text else frozenset()
        written = dates(text, vr, sets) if text else NO_DATES
        numbers = _numbers_of(raw) if searched == "number" else frozenset()
        if binary and place.tag & _ODD_GROUP and len(raw) <= _LONGEST_NUMBERS:
            numbers = _numbers_of(digits_of(vr, raw))
        days = _dates_of(raw) if searched == "date" else frozenset()
        lowered = raw.lower() if binary else b""
        for needle in self._needles:
            if (
                needle.number in numbers
                or (needle.mode is Mode.DATE and needle.form in days)
                or (binary and needle.is_in_bytes(lowered))
                or any(form in raw for form in needle.raw if textual or len(form) >= _SHORTEST_BINARY)
                or needle.is_among(written, surely=place.needs_sure_dates or not (searched == "text" or hidden))
                or any(counts(needle, one, place) for one in texts)
            ):
                yield needle.kind
        if depth < _MOST_DEPTH and not raw.isascii():
            for content in opened(raw, whole=whole):
                inside = Place(place.tag, b"UN", place.own)
                yield from self._value(inside, content, sets, depth=depth + 1)


def _told(buffer: bytes, elements: list[Element], scheme: str) -> frozenset[int]:
    """The elements of a code that say what its standard says of it."""
    code = _text_of(buffer, elements, _CODE_VALUE)
    meaning = codes.meaning_of(scheme, code)
    if meaning is None:
        return frozenset()
    tags = {_CODE_VALUE, _DESIGNATOR}
    if squash(_text_of(buffer, elements, _CODE_MEANING)) == squash(meaning):
        tags.add(_CODE_MEANING)
    return frozenset(tags)


def _numbers_of(raw: bytes) -> frozenset[str]:
    """The numbers of an IS or DS as digits without leading zeros, as far as they can be a needle's."""
    found = {squash_bytes(one).lstrip("0") for one in raw.split(b"\\")}
    if b"." in raw or b"e" in raw or b"E" in raw:
        found.update(whole_numbers(raw))
    return frozenset(found) - {""}


def _dates_of(raw: bytes) -> frozenset[str]:
    """The dates of a DA or DT, eight digits each."""
    return frozenset(date_digits(one.decode("latin-1").strip()) for one in raw.split(b"\\")) - {""}


def _true_vr(tag: int, vr: bytes) -> bytes:
    """The dictionary's VR for what is encoded as unknown (PS3.5 6.2.2)."""
    return vr_of(tag) if vr == b"UN" else vr


def _text_of(buffer: bytes, elements: list[Element], tag: int) -> str:
    element = find(elements, tag)
    return "" if element is None else buffer[element[3] : element[4]].decode("latin-1").strip("\0 ")
