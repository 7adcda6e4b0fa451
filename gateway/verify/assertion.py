"""Asserting on the output that the program was carried out (promises P2, P11).

The leak scan looks for values; this looks for elements: what had to go is gone, what had to change has changed, and
what the gateway must write is there. It reads the output again and shares no code with the engine that wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from gateway.dicom.encoded import Element, find
from gateway.dicom.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.dicom.instance import Instance
from gateway.dicom.iod import element_type, lists_references
from gateway.dicom.tag import show
from gateway.dicom.uid import is_well_known
from gateway.errors import LeakSuspected
from gateway.profile import Program, Verb, resolve
from gateway.verify import words
from gateway.verify.fold import squash_bytes
from gateway.verify.output import Output

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
#: Patient's Name and Patient ID hold the pseudonym, whatever their Type allows.
_PSEUDONYMS: Final = frozenset((0x00100010, 0x00100020))
#: What the gateway writes in the file meta information (PS3.10 7.1), and nothing else.
_META: Final = frozenset((0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013))
_NUMERIC: Final = frozenset((b"DS", b"IS", b"FD", b"FL", b"SL", b"SS", b"SV", b"UL", b"US", b"UV", b"AS", b"AT"))
_MOST_PLACES: Final = 100_000


class Assertion:
    """Checks outputs of one program.

    Parameters
    ----------
    program: what the output must honour
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._verbs: dict[int, Verb] = {}
        self._resolved: dict[tuple[_Iod, tuple[int, ...], int], Verb] = {}
        self._codes = frozenset(code.value for code in program.codes)

    def check(self, instance: Instance, output: Output) -> None:
        """Assert the program on ``output``, which was made of ``instance``.

        Raises
        ------
        LeakSuspected: names the first element that is not as the program wants it
        """
        self._check_meta(output)
        self._check_stamps(output)
        sop_class = _text(output.buffer, output.elements, _SOP_CLASS_UID) or output.meta.sop_class_uid
        changed: list[tuple[str, Element, Verb]] = []
        iod = (sop_class, lists_references(instance.elements))
        self._level(output.buffer, output.elements, iod, (), "", changed)
        originals = _originals(instance, frozenset(element[0] for _, element, _ in changed))
        for where, element, verb in changed:
            raw = output.buffer[element[3] : element[4]]
            for value in _unchanged(element[1], raw, verb):
                if value in originals.get(element[0], ()):
                    raise LeakSuspected(where=where, reason=f"{verb} left an original value")

    def _verb(self, tag: int) -> Verb:
        verb = self._verbs.get(tag)
        if verb is None:
            verb = self._program.action(tag).verb
            if len(self._verbs) < _MOST_PLACES:
                self._verbs[tag] = verb
        return verb

    def _simple(self, verb: Verb, iod: _Iod, path: tuple[int, ...], tag: int) -> Verb:
        place = (iod, path, tag)
        simple = self._resolved.get(place)
        if simple is None:
            simple = resolve(verb, element_type(iod[0], path, tag), lists_references=iod[1])
            if len(self._resolved) < _MOST_PLACES:
                self._resolved[place] = simple
        return simple

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

    def _check_stamps(self, output: Output) -> None:
        for tag, expected in ((_PATIENT_IDENTITY_REMOVED, "YES"), (_DATES_MODIFIED, self._program.dates)):
            if _text(output.buffer, output.elements, tag) != expected:
                raise LeakSuspected(where=show(tag), reason="it does not say what was done")
        if not _text(output.buffer, output.elements, _METHOD):
            raise LeakSuspected(where=show(_METHOD), reason="it does not say what was done")
        sequence = find(output.elements, _METHOD_CODES)
        items = (sequence[5] or []) if sequence is not None else []
        if not self._codes <= {_text(output.buffer, item[4], _CODE_VALUE) for item in items}:
            raise LeakSuspected(where=show(_METHOD_CODES), reason="it does not say what was done")

    def _level(
        self,
        buffer: bytes,
        elements: list[Element],
        iod: _Iod,
        path: tuple[int, ...],
        where: str,
        changed: list[tuple[str, Element, Verb]],
    ) -> None:
        """Check what can be told from the output alone; collect what must be compared with the original."""
        verbs = self._verbs
        for element in elements:
            tag = element[0]
            verb = verbs.get(tag) or self._verb(tag)
            items = element[5]
            if verb is not Verb.KEEP:
                place = f"{where}{show(tag)}"
                self._check(element, verb, iod, path, place)
                if items is None:
                    changed.append((place, element, verb))
            if items:
                for number, item in enumerate(items):
                    below = f"{where}{show(tag)}[{number}]/"
                    self._level(buffer, item[4], iod, (*path, tag), below, changed)

    def _check(self, element: Element, verb: Verb, iod: _Iod, path: tuple[int, ...], where: str) -> None:
        tag, _vr, _start, value, end, items = element
        simple = self._simple(verb, iod, path, tag) if verb.is_compound else verb
        if tag in _PSEUDONYMS and not path:
            return
        if simple is Verb.REMOVE:
            raise LeakSuspected(where=where, reason="the profile removes it")
        if simple is Verb.EMPTY and (items if items is not None else value != end):
            raise LeakSuspected(where=where, reason="the profile empties it")


def _unchanged(vr: bytes, raw: bytes, verb: Verb) -> Iterator[bytes]:
    """The values that must not be among the original ones: all but those that identify nobody."""
    if verb in (Verb.CLEAN, Verb.REPLACE) or vr in _NUMERIC:
        # Cleaned text may stay as it is, a replacement may be what was there, and a number is a number.
        return
    if vr == b"UI":
        for value in raw.split(b"\\"):
            uid = value.strip(b"\0 ").decode("latin-1")
            if uid and not is_well_known(uid) and not _is_dummy_uid(uid):
                yield uid.encode("latin-1")
        return
    value = raw.strip(b"\0 ")
    if len(set(value)) > 1 and not _says_nothing(value):
        yield value


def _is_dummy_uid(uid: str) -> bool:
    return uid == "2.25.0"


def _says_nothing(value: bytes) -> bool:
    text = squash_bytes(value)
    return words.is_placeholder(text) or words.is_placeholder_date(text[:8])


def _originals(instance: Instance, tags: frozenset[int]) -> dict[int, set[bytes]]:
    """Tag -> its original values at every depth, without padding; UIDs one by one."""
    found: dict[int, set[bytes]] = {}
    pending = [instance.elements]
    buffer = instance.buffer
    while pending:
        for tag, vr, _start, value, end, items in pending.pop():
            if items is not None:
                pending.extend(item[4] for item in items)
            elif tag in tags:
                raw = bytes(buffer[value:end])
                values = raw.split(b"\\") if vr == b"UI" else (raw,)
                found.setdefault(tag, set()).update(one.strip(b"\0 ") for one in values)
    return found


def _text(buffer: bytes, elements: list[Element], tag: int) -> str:
    found = find(elements, tag)
    return "" if found is None else buffer[found[3] : found[4]].decode("latin-1").strip("\0 ")
