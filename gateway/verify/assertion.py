"""Asserting on the output that the program was carried out (promises P2, P11).

The leak scan looks for values; this looks for elements: what had to go is gone, what had to change has changed, and
what the gateway must write is there. It reads the output again and shares no code with the engine that wrote it.

Inside sequences that a rule cleans, the cleaning decides about content items, coded entries and texts; there only
private and unknown elements are looked for, and the leak scan looks at everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from gateway.dicom.dictionary import is_known, vr_of
from gateway.dicom.encoded import Element, Item, find, index_items
from gateway.dicom.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.dicom.instance import Instance
from gateway.dicom.iod import element_type, lists_references
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.tag import is_private, show
from gateway.dicom.uid import is_well_known
from gateway.dicom.vr import VALUE_REPRESENTATIONS
from gateway.errors import LeakSuspected
from gateway.profile import Action, Mapping_, Program, Times, Verb, resolve
from gateway.profile.elders import age_limit
from gateway.profile.methods import METHODS
from gateway.profile.stamps import STAMPS
from gateway.verify import harmless_words
from gateway.verify.birth_dates import check_birth_date
from gateway.verify.clock_times import is_coarse
from gateway.verify.numeric import Numbers
from gateway.verify.originals import Originals
from gateway.verify.output_reader import Output
from gateway.verify.pixel_elements import methods
from gateway.verify.program_rules import Rules, Said
from gateway.verify.recollection import Recollection
from gateway.verify.shift import check_shift, dates_of
from gateway.verify.text_normalisation import squash_bytes

__all__ = ["Assertion"]

#: SOP class, and whether the instance lists its references.
_Iod: TypeAlias = tuple[str, bool]
_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
_PATIENT_IDENTITY_REMOVED: Final = 0x00120062
_METHOD: Final = 0x00120063
_METHOD_CODES: Final = 0x00120064
_DATES_MODIFIED: Final = 0x00280303
_CODE_VALUE: Final = 0x00080100
#: What a code of a stamp consists of.
_CODE: Final = (_CODE_VALUE, 0x00080102, 0x00080104)
#: Patient's Name and Patient ID hold the pseudonym, whatever their Type allows.
_PSEUDONYMS: Final = frozenset((0x00100010, 0x00100020))
#: What the gateway writes in the file meta information (PS3.10 7.1), and nothing else.
_META: Final = frozenset((0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013))
_NUMERIC: Final = frozenset((b"DS", b"IS", b"FD", b"FL", b"SL", b"SS", b"SV", b"UL", b"US", b"UV", b"AS", b"AT"))
_MOST_PLACES: Final = 100_000
#: Verbs whose result may be what was there: cleaned text, a coarser number, what the author wrote or copies.
_MAY_STAY: Final = frozenset((Verb.CLEAN, Verb.REPLACE, Verb.INSERT, Verb.COPY, Verb.GENERALISE))
_DATING: Final = frozenset((Verb.SHIFT_DATE, Verb.TRUNCATE_DATE))
_DATE_VRS: Final = frozenset((b"DA", b"DT", b"TM"))
_TIMED: Final = frozenset((b"DT", b"TM"))
#: Verbs after which the original's time of day is still there.
_LEAVING_TIMES: Final = frozenset((Verb.KEEP, Verb.SHIFT_DATE))
#: What dates, times and offsets are written with.
_PLAIN_DATE: Final = b"0123456789+-.:\\ \0"
_ODD_GROUP: Final = 0x00010000
_NOTHING: Final[set[bytes]] = set()
#: How a value that holds items begins (PS3.5 7.5).
_ITEM: Final = b"\xfe\xff\x00\xe0"


class _Changed(NamedTuple):
    """An element that a rule changed: its place, tag and verb, and values that the original must not have."""

    where: str
    tag: int
    verb: Verb
    values: tuple[bytes, ...]


class _Dated(NamedTuple):
    """An element that a rule dates: its place, tag, VR, value and action."""

    where: str
    tag: int
    vr: bytes
    raw: bytes
    action: Action


@dataclass(slots=True)
class _Findings:
    """What must be compared with the original."""

    changed: list[_Changed] = field(default_factory=list)
    dated: list[_Dated] = field(default_factory=list)


class Assertion:
    """Checks outputs of one program.

    Parameters
    ----------
    program
        what the output must honour, its conditions decided
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._rules = Rules(program)
        self._inserts = dict(program.inserts)
        self._resolved: dict[tuple[Verb, _Iod, tuple[int, ...], int], Verb] = {}
        self._codes = frozenset(code.value for code in program.codes)
        self._age_limit = age_limit(program)
        self._found = Recollection[_Findings]()
        self._originals = Originals()
        #: What looks at private elements that stay as numbers.
        self.numbers = Numbers(program)

    def check(self, instance: Instance, output: Output, pixels: PixelChange | None = None) -> frozenset[str]:
        """Assert the program on ``output``, which was made of ``instance``.

        Parameters
        ----------
        instance
            the original
        output
            what was made of it
        pixels
            what was done to the pixels; its elements stand above the rules for them at the top level

        Returns
        -------
        The dates that the program wrote, eight digits each: the original may have the same by chance.

        Raises
        ------
        LeakSuspected
            names the first element that is not as the program wants it
        """
        self._check_meta(output)
        self._check_stamps(output, pixels)
        self._check_inserts(output)
        if self._age_limit is not None:
            check_birth_date(self._age_limit, instance, output)
        sop_class = _text(output.buffer, output.elements, _SOP_CLASS_UID) or output.meta.sop_class_uid
        iod = (sop_class, lists_references(instance.elements))
        said = self._rules.said_by(instance) if self._rules.has_private else {}
        walk = _Walk(self, output.buffer, iod, said, frozenset() if pixels is None else frozenset(pixels.elements))
        findings = self._findings(walk, output, remembers=pixels is None)
        tags = frozenset([*(one.tag for one in findings.changed), *(one.tag for one in findings.dated)])
        originals = self._originals.of(instance, tags)
        for where, tag, verb, values in findings.changed:
            if not originals.get(tag, _NOTHING).isdisjoint(values):
                raise LeakSuspected(where=where, reason=f"{verb} left an original value")
        return self._check_dates(findings.dated, originals)

    def _findings(self, walk: _Walk, output: Output, *, remembers: bool) -> _Findings:
        """The findings of all parts; those of parts that were walked before are remembered."""
        context = output.implicit, walk.iod, frozenset(walk.said.items())
        known = self._found.of(context)
        private = self._rules.private(output.buffer, output.elements, walk.said)
        if private:
            self.numbers.check(output.buffer, output.elements, "")
        total = _Findings()
        for raw, elements in output.parts:
            # What stays of private elements depends on creators, which may stand in other parts.
            alone = not raw or not remembers or (self._rules.has_private and bool(elements[0][0] & _ODD_GROUP))
            findings = None if alone else known.get(raw)
            if findings is None:
                findings = walk.part(elements, private, implicit=output.implicit)
                if not alone:
                    self._found.keep(context, raw, findings)
            total.changed += findings.changed
            total.dated += findings.dated
        return total

    def simple(self, verb: Verb, iod: _Iod, path: tuple[int, ...], tag: int) -> Verb:
        """The simple verb that a compound one means at a place."""
        if not verb.is_compound:
            return verb
        place = (verb, iod, path, tag)
        simple = self._resolved.get(place)
        if simple is None:
            simple = resolve(verb, element_type(iod[0], path, tag), lists_references=iod[1])
            if len(self._resolved) < _MOST_PLACES:
                self._resolved[place] = simple
        return simple

    @property
    def times(self) -> Times:
        """How exact the program leaves times of day."""
        return self._program.times

    @property
    def stamps(self) -> frozenset[int]:
        """What the gateway says of the output, if the profile lets it say something."""
        return frozenset() if self._program.identified else STAMPS

    @property
    def rules(self) -> Rules:
        """What the program says of elements."""
        return self._rules

    def is_inserted(self, tag: int) -> bool:
        """Whether the program writes the element at the top level."""
        return tag in self._inserts

    def _check_inserts(self, output: Output) -> None:
        for tag, action in self._inserts.items():
            if action.verb is not Verb.INSERT:
                continue
            element, value = find(output.elements, tag), action.value or ""
            if element is None:
                raise LeakSuspected(where=show(tag), reason="the profile inserts it, and it is missing")
            if value.isascii() and VALUE_REPRESENTATIONS[vr_of(tag)].text:
                raw = output.buffer[element[3] : element[4]]
                if raw.strip(b"\0 ") != value.encode("ascii").strip():
                    raise LeakSuspected(where=show(tag), reason="it is not what the profile inserts")

    def _check_dates(self, dated: list[_Dated], originals: dict[int, set[bytes]]) -> frozenset[str]:
        shifted: list[tuple[str, int, bytes]] = []
        truncated: set[str] = set()
        for where, tag, vr, raw, action in dated:
            if vr == b"AS":
                continue
            if raw.translate(None, _PLAIN_DATE) and (vr in _DATE_VRS or not _says_nothing(raw.strip(b"\0 "))):
                raise LeakSuspected(where=where, reason=f"{action.verb} left something that is no date")
            if action.verb is Verb.SHIFT_DATE:
                if vr != b"TM":
                    shifted.append((where, tag, raw))
                continue
            for day in dates_of(raw):
                digits = f"{day.year:04d}{day.month:02d}{day.day:02d}"
                if harmless_words.is_placeholder_date(digits):
                    continue
                if day.day != 1 or (getattr(action.options, "to", "") == "year" and day.month != 1):
                    raise LeakSuspected(where=where, reason="the date is not truncated")
                truncated.add(digits)
        if not shifted:
            return frozenset(truncated)
        if self._program.shift is None:
            raise LeakSuspected(where=shifted[0][0], reason="the profile does not say how dates are shifted")
        return check_shift(self._program.shift, shifted, originals) | truncated

    def _check_meta(self, output: Output) -> None:
        if any(output.buffer[:128]):
            raise LeakSuspected(where="the preamble", reason="it is not empty")
        for element in output.meta_elements:
            if element[0] not in _META:
                raise LeakSuspected(where=show(element[0]), reason="it is not the gateway's own file meta information")
        for tag, expected in (
            (0x00020002, _text(output.buffer, output.elements, _SOP_CLASS_UID)),
            (0x00020003, _text(output.buffer, output.elements, _SOP_INSTANCE_UID)),
            (0x00020012, IMPLEMENTATION_CLASS_UID),
            (0x00020013, IMPLEMENTATION_VERSION_NAME),
        ):
            # A data set without SOP Common Module is known by its file meta information alone.
            if expected and _text(output.buffer, output.meta_elements, tag) != expected:
                raise LeakSuspected(where=show(tag), reason="it does not agree with the data set or the gateway")

    def _check_stamps(self, output: Output, pixels: PixelChange | None) -> None:
        if self._program.identified:
            for tag in (_PATIENT_IDENTITY_REMOVED, _METHOD, _METHOD_CODES):
                if find(output.elements, tag) is not None:
                    raise LeakSuspected(
                        where=show(tag), reason="it claims of an identified instance that it is not one"
                    )
            return
        for tag, expected in ((_PATIENT_IDENTITY_REMOVED, "YES"), (_DATES_MODIFIED, self._program.longitudinal)):
            if _text(output.buffer, output.elements, tag) != expected:
                raise LeakSuspected(where=show(tag), reason="it does not say what was done")
        if not _text(output.buffer, output.elements, _METHOD):
            raise LeakSuspected(where=show(_METHOD), reason="it does not say what was done")
        sequence = find(output.elements, _METHOD_CODES)
        items = (sequence[5] or []) if sequence is not None else []
        if not methods(self._codes, pixels) <= {_text(output.buffer, item[4], _CODE_VALUE) for item in items}:
            raise LeakSuspected(where=show(_METHOD_CODES), reason="it does not say what was done")
        # No rule speaks of what is in a stamp: it is all the gateway's, or it is wrong.
        for item in items:
            code = METHODS.get(_text(output.buffer, item[4], _CODE_VALUE))
            said = None if code is None else (code.value, code.scheme, code.meaning)
            stands = tuple(_text(output.buffer, item[4], tag) for tag in _CODE)
            if stands != said or tuple(element[0] for element in item[4]) != _CODE:
                raise LeakSuspected(where=show(_METHOD_CODES), reason="an item is not the gateway's own")


class _Walk:
    """The elements of one output: what can be told from it alone is checked, the rest is collected."""

    def __init__(self, assertion: Assertion, buffer: bytes, iod: _Iod, said: Said, written: frozenset[int]) -> None:
        self._assertion = assertion
        self._rules = assertion.rules
        self._buffer = buffer
        self.iod = iod
        self.said = said
        #: Elements at the top level that are checked elsewhere.
        self._written = written
        self._times = assertion.times
        #: What is checked by itself, and no rule speaks of.
        self._stamps = assertion.stamps
        self.findings = _Findings()

    def part(self, elements: list[Element], private: Mapping[int, Verb], *, implicit: bool) -> _Findings:
        """Check a part of the top level, of whose private elements ``private`` stay."""
        self.findings = _Findings()
        self._level(elements, (), "", private, implicit=implicit, cleaned=False)
        return self.findings

    def _level(
        self,
        elements: list[Element],
        path: tuple[int, ...],
        where: str,
        private: Mapping[int, Verb],
        *,
        implicit: bool,
        cleaned: bool,
    ) -> None:
        """Check one data set or item."""
        rules = self._rules
        kept = rules.kept
        for element in elements:
            tag, items = element[0], element[5]
            if items is None and tag in kept:
                continue
            if tag in self._stamps and not path:
                continue
            action = rules.action(path, tag)
            verb = action.verb
            if is_private(tag):
                items = self._hidden(element, implicit=implicit) if items is None else items
                verb = private.get(tag, Verb.REMOVE)
                if verb is not action.verb:
                    action = Action(verb, action.origin)
            own = not path and tag in self._written
            if verb is not Verb.KEEP and not own and (not cleaned or is_private(tag) or not is_known(tag)):
                place = f"{where}{show(tag)}"
                self._check(element, verb, path, place)
                if items is None and (path or not self._assertion.is_inserted(tag)):
                    self._collect(place, element, action)
            if self._times != "keep" and items is None and not own:
                self._check_time(element, action, path, f"{where}{show(tag)}", elements)
            if items:
                inside, below = cleaned or verb is Verb.CLEAN, (*path, tag)
                for number, item in enumerate(items):
                    step = f"{where}{show(tag)}[{number}]/"
                    nested = rules.private(self._buffer, item[4], self.said)
                    if nested:
                        self._assertion.numbers.check(self._buffer, item[4], step)
                    self._level(item[4], below, step, nested, implicit=item[3], cleaned=inside)

    def _check_time(
        self, element: Element, action: Action, path: tuple[int, ...], where: str, beside: list[Element]
    ) -> None:
        """Check what a TM or DT still tells that no rule keeps by its own name."""
        tag, coded_vr, _start, value, end, _items = element
        vr = vr_of(tag) if coded_vr == b"UN" else coded_vr
        if vr not in _TIMED or action.verb not in _LEAVING_TIMES:
            return
        if tag in self._rules.exact(self._buffer, beside) if is_private(tag) else self._rules.keeps_time(path, tag):
            return
        if not is_coarse(self._times, vr, self._buffer[value:end]):
            raise LeakSuspected(where=where, reason="its time of day is more exact than the profile leaves it")

    def _hidden(self, element: Element, *, implicit: bool) -> list[Item] | None:
        """The items of a private sequence of which the encoding does not tell that it is one."""
        tag, vr, _start, value, end, _items = element
        if vr != b"UN" or self._buffer[value : value + 4] != _ITEM:
            return None
        return index_items(self._buffer, value, end, tag=tag, implicit=implicit)

    def _collect(self, where: str, element: Element, action: Action) -> None:
        tag, vr, _start, value, end, _items = element
        raw = self._buffer[value:end]
        if action.verb in _DATING:
            self.findings.dated.append(_Dated(where, tag, vr, raw, action))
            return
        _check_mapped(where, vr, raw, action)
        values = tuple(_unchanged(vr, raw, action))
        if values:
            self.findings.changed.append(_Changed(where, tag, action.verb, values))

    def _check(self, element: Element, verb: Verb, path: tuple[int, ...], where: str) -> None:
        tag, _vr, _start, value, end, items = element
        if not path and (self._assertion.is_inserted(tag) or (tag in _PSEUDONYMS and verb is not Verb.REMOVE)):
            return
        simple = self._assertion.simple(verb, self.iod, path, tag)
        if simple is Verb.REMOVE:
            raise LeakSuspected(where=where, reason="the profile removes it")
        if simple is Verb.EMPTY and (items if items is not None else value != end):
            raise LeakSuspected(where=where, reason="the profile empties it")


def _check_mapped(where: str, vr: bytes, raw: bytes, action: Action) -> None:
    """A mapped value is one of the rule's, unless the rule keeps others."""
    options = action.options
    if not isinstance(options, Mapping_) or options.otherwise == "keep" or vr in _NUMERIC:
        return
    allowed = [replacement for _, replacement in options.pairs]
    if not all(replacement.isascii() for replacement in allowed):
        return
    known = {b"", *(replacement.strip().encode("ascii") for replacement in allowed)}
    for value in raw.split(b"\\"):
        if value.strip(b"\0 ") not in known and not _says_nothing(value.strip(b"\0 ")):
            raise LeakSuspected(where=where, reason="it is none of the values that the profile maps to")


def _unchanged(vr: bytes, raw: bytes, action: Action) -> Iterator[bytes]:
    """The values that must not be among the original ones: all but those that identify nobody."""
    if action.verb in _MAY_STAY or vr in _NUMERIC or getattr(action.options, "otherwise", "") == "keep":
        # A number is a number, and what the author lets stay may stay.
        return
    if vr == b"UI":
        for value in raw.split(b"\\"):
            uid = value.strip(b"\0 ").decode("latin-1")
            if uid and not is_well_known(uid) and not _is_dummy_uid(uid):
                yield uid.encode("latin-1")
        return
    if isinstance(action.options, Mapping_):
        # A value may stand for itself.
        return
    values = raw.split(b"\\") if action.verb in (Verb.PSEUDONYMISE, Verb.REGEX) else [raw]
    for value in (one.strip(b"\0 ") for one in values):
        if len(set(value)) > 1 and not _says_nothing(value):
            yield value


def _is_dummy_uid(uid: str) -> bool:
    return uid == "2.25.0"


def _says_nothing(value: bytes) -> bool:
    text = squash_bytes(value)
    return harmless_words.is_placeholder(text) or harmless_words.is_placeholder_date(text[:8])


def _text(buffer: bytes, elements: list[Element], tag: int) -> str:
    element = find(elements, tag)
    return "" if element is None else buffer[element[3] : element[4]].decode("latin-1").strip("\0 ")
