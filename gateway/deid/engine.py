"""Applying a program to an encoded instance.

The engine walks the element tree once, copies what stays by byte range, rewrites what a rule touches and skips what
goes. Pixel data is never read: the output is a list of segments, in which long unchanged stretches are ranges of the
received file. Rules apply at every nesting depth (PS3.15 E.1.1).

Whatever cannot be decided raises an InstanceError, which holds the instance.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.deid import uids
from gateway.deid.dummies import dummy_document, dummy_sequence, dummy_value
from gateway.deid.identity import ProjectKey
from gateway.deid.patient import PATIENT_ID, PATIENT_NAME, patient_pseudonym
from gateway.deid.stamp import Stamp
from gateway.dicom import encode
from gateway.dicom.dictionary import VR_OF, vr_of
from gateway.dicom.encoded import Buffer, Element, Item, find
from gateway.dicom.file_meta import FileMeta, write_file_meta
from gateway.dicom.instance import Instance
from gateway.dicom.iod import element_type, lists_references
from gateway.dicom.segments import FileRange, Segment
from gateway.dicom.tag import UNDEFINED_LENGTH, is_private, show
from gateway.errors import InstanceError, RuleFailed, UnsupportedEncoding
from gateway.profile import Action, Program, Verb, resolve

STUDY_INSTANCE_UID: Final = 0x0020000D
SERIES_INSTANCE_UID: Final = 0x0020000E
SOP_INSTANCE_UID: Final = 0x00080018
SOP_CLASS_UID: Final = 0x00080016
_ENCAPSULATED_DOCUMENT: Final = 0x00420011
_ENCAPSULATED_DOCUMENT_LENGTH: Final = 0x00420015
_MEDIA_TYPE: Final = 0x00420012
#: Unchanged stretches up to this many bytes are copied into the output's own bytes; longer ones stay in the file.
_COPY_LIMIT: Final = 64 * 1024
_NO_MORE: Final = 1 << 32

#: What takes the place of an element or a level: own bytes, or a (start, stop) range of the source.
_Piece: TypeAlias = "bytes | tuple[int, int]"
#: SOP class, enclosing sequences, tag, whether the instance lists its references.
_Place: TypeAlias = tuple[str, tuple[int, ...], int, bool]
#: Private SOP classes could fill the memory otherwise.
_MOST_PLACES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Deidentified:
    """An output that may leave once it is verified.

    ``segments`` are the whole Part 10 file in order. The identifiers are the new ones. ``sop_key`` is a keyed token of
    the original SOP Instance UID, the same for every transmission of that instance within the project. ``actions``
    counts what was done by verb.
    """

    segments: tuple[Segment, ...]
    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax: str
    sop_key: str
    actions: dict[str, int]


class Deidentifier:
    """Applies one program with one project's key to any number of instances.

    Parameters
    ----------
    program: the compiled profile
    key: the project's key
    """

    def __init__(self, program: Program, key: ProjectKey) -> None:
        self._program = program
        self.key = key
        self.stamp = Stamp(program)
        #: Tag -> action, None for "keep": one look-up per element decides the most frequent case.
        self.rules: dict[int, Action | None] = {}
        for tag in (*VR_OF, *program.actions):
            self.rule(tag)
        self._resolved: dict[_Place, Verb] = {}

    @property
    def program(self) -> Program:
        """The program that is applied."""
        return self._program

    def apply(self, instance: Instance) -> Deidentified:
        """De-identify ``instance``.

        Raises
        ------
        InstanceError: a rule cannot be applied or the instance lacks what its identity is derived from; hold it
        """
        return _Run(self, instance).output()

    def rule(self, tag: int) -> Action | None:
        """The action for ``tag``, None to keep it. Private and unknown elements have the program's defaults."""
        if tag in self.rules:
            return self.rules[tag]
        action = self._program.action(tag)
        rule = None if action.verb is Verb.KEEP else action
        if not is_private(tag):
            self.rules[tag] = rule
        return rule

    def resolve(self, verb: Verb, place: _Place) -> Verb:
        """The simple verb that a compound one means for an attribute of this IOD at this place."""
        simple = self._resolved.get(place)
        if simple is None:
            sop_class_uid, path, tag, references = place
            simple = resolve(verb, element_type(sop_class_uid, path, tag), lists_references=references)
            if len(self._resolved) < _MOST_PLACES:
                self._resolved[place] = simple
        return simple


class _Rope:
    """The pieces of a level, neighbouring ranges of the source joined."""

    __slots__ = ("_end", "_start", "pieces")

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []
        self._start = self._end = -1

    def keep(self, start: int, end: int) -> None:
        """The source's bytes from ``start`` to ``end`` stay."""
        if start != self._end:
            self.flush()
            self._start = start
        self._end = end

    def put(self, pieces: list[_Piece]) -> None:
        """Other pieces come next."""
        self.flush()
        self.pieces += pieces

    def flush(self) -> None:
        """Complete the range that is being joined."""
        if self._end > self._start:
            self.pieces.append((self._start, self._end))
        self._start = self._end = -1


class _Run:
    """One instance on its way through the engine."""

    def __init__(self, deidentifier: Deidentifier, instance: Instance) -> None:
        self._deidentifier = deidentifier
        self._program = deidentifier.program
        self._key = deidentifier.key
        self._instance = instance
        self._buffer: Buffer = instance.buffer
        self._counts: Counter[str] = Counter()
        self._sop_class = instance.text(SOP_CLASS_UID) or instance.meta.sop_class_uid
        self._lists_references = lists_references(instance.elements)

    def output(self) -> Deidentified:
        instance = self._instance
        sop_uid = instance.text(SOP_INSTANCE_UID) or instance.meta.sop_instance_uid
        if not sop_uid or not self._sop_class:
            missing = show(SOP_CLASS_UID if sop_uid else SOP_INSTANCE_UID)
            raise InstanceError(reason=f"neither the data set nor the file meta information has {missing}")
        patient = patient_pseudonym(instance, self._program.identity, self._key)
        inserts = self._inserts(patient)
        elements = instance.elements
        begin = elements[0][2] if elements else 0
        pieces, _ = self._level(elements, (begin, begin), implicit=instance.implicit, path=(), inserts=inserts)
        new_sop_uid = self._new_uid(SOP_INSTANCE_UID, sop_uid)
        meta = write_file_meta(
            FileMeta(
                transfer_syntax=instance.transfer_syntax,
                sop_class_uid=self._sop_class,
                sop_instance_uid=new_sop_uid,
            )
        )
        return Deidentified(
            segments=self._segments(meta, pieces),
            patient_id=patient,
            study_uid=self._new_uid(STUDY_INSTANCE_UID, instance.text(STUDY_INSTANCE_UID)),
            series_uid=self._new_uid(SERIES_INSTANCE_UID, instance.text(SERIES_INSTANCE_UID)),
            sop_uid=new_sop_uid,
            sop_class_uid=self._sop_class,
            transfer_syntax=instance.transfer_syntax,
            sop_key=self._key.token("instance", sop_uid),
            actions=dict(self._counts),
        )

    def _new_uid(self, tag: int, original: str) -> str:
        """What the element's rule makes of a UID; empty where the instance has none."""
        rule = self._deidentifier.rule(tag)
        if rule is None or not original:
            return original
        return uids.replace(original, self._key)

    def _inserts(self, patient: str) -> list[tuple[int, bytes]]:
        """Elements that the engine writes itself at the top level, in place of received ones."""
        instance, elements = self._instance, self._instance.elements
        implicit = instance.implicit
        inserts = self._deidentifier.stamp.elements(self._buffer, elements, implicit=implicit)
        for tag, vr in ((PATIENT_NAME, b"PN"), (PATIENT_ID, b"LO")):
            if find(elements, tag) is not None and self._deidentifier.rule(tag) is not None:
                inserts.append((tag, encode.element(tag, vr, patient.encode("ascii"), implicit=implicit)))
                self._counts["pseudonymise"] += 1
        inserts += self._document(implicit=implicit)
        return sorted(inserts)

    def _document(self, *, implicit: bool) -> list[tuple[int, bytes]]:
        """A dummy document of the right media type with its length, where the rule asks for a dummy."""
        instance = self._instance
        rule = self._deidentifier.rule(_ENCAPSULATED_DOCUMENT)
        if find(instance.elements, _ENCAPSULATED_DOCUMENT) is None or rule is None or rule.verb is not Verb.DUMMY:
            return []
        self._counts[Verb.DUMMY.value] += 1
        document = dummy_document(instance.text(_MEDIA_TYPE))
        length = len(document).to_bytes(4, "little")
        return [
            (tag, encode.element(tag, vr, value, implicit=implicit))
            for tag, vr, value in (
                (_ENCAPSULATED_DOCUMENT, b"OB", document),
                (_ENCAPSULATED_DOCUMENT_LENGTH, b"UL", length),
            )
        ]

    def _level(
        self,
        elements: list[Element],
        content: tuple[int, int],
        *,
        implicit: bool,
        path: tuple[int, ...],
        inserts: list[tuple[int, bytes]],
    ) -> tuple[list[_Piece], bool]:
        """One data set or item: its pieces, and whether it stays as received.

        ``content`` is the byte range that the level occupies in the source; ``inserts`` take the place of received
        elements with their tags, in tag order.
        """
        rope, removed = _Rope(), 0
        rules, rule_of = self._deidentifier.rules, self._deidentifier.rule
        waiting = iter(inserts)
        insert_tag, insert = next(waiting, (_NO_MORE, b""))
        for element in elements:
            tag, _vr, start, _value, end, items = element
            while tag > insert_tag:
                rope.put([insert])
                insert_tag, insert = next(waiting, (_NO_MORE, b""))
            if tag == insert_tag:
                continue
            rule = rules[tag] if tag in rules else rule_of(tag)
            if rule is None:
                replaced = None if items is None else self._items(element, items, implicit=implicit, path=path)
            elif rule.verb is Verb.REMOVE:
                removed += 1
                continue
            else:
                replaced = self._apply(rule, element, implicit=implicit, path=path)
            if replaced is None:
                rope.keep(start, end)
            else:
                rope.put(replaced)
        rope.flush()
        if insert_tag != _NO_MORE:
            rope.put([insert, *(last for _, last in waiting)])
        self._counts[Verb.REMOVE.value] += removed
        unchanged = rope.pieces == [content] or (not rope.pieces and content[0] == content[1])
        return rope.pieces, unchanged

    def _items(
        self, element: Element, items: list[Item], *, implicit: bool, path: tuple[int, ...]
    ) -> list[_Piece] | None:
        """A kept sequence with the rules applied inside; None if nothing inside changes."""
        tag, vr, _start, value, _end, _items = element
        below = (*path, tag)
        done: list[tuple[Item, list[_Piece], bool]] = []
        changed = False
        for item in items:
            _start, content, item_end, item_implicit, nested = item
            delimited = self._length_field(content) == UNDEFINED_LENGTH
            stop = item_end - 8 if delimited else item_end
            pieces, same = self._level(nested, (content, stop), implicit=item_implicit, path=below, inserts=[])
            changed = changed or not same
            done.append((item, pieces, delimited))
        if not changed:
            return None
        body: list[_Piece] = []
        for _item, pieces, delimited in done:
            body.append(encode.item_header(UNDEFINED_LENGTH if delimited else _length(pieces)))
            body.extend(pieces)
            if delimited:
                body.append(encode.ITEM_END)
        if self._length_field(value) == UNDEFINED_LENGTH:
            return [encode.header(tag, vr, UNDEFINED_LENGTH, implicit=implicit), *body, encode.SEQUENCE_END]
        return [encode.header(tag, vr, _length(body), implicit=implicit), *body]

    def _length_field(self, value: int) -> int:
        """The 32-bit length that stands right before a sequence's or item's content."""
        return int.from_bytes(self._buffer[value - 4 : value], "little")

    def _apply(self, rule: Action, element: Element, *, implicit: bool, path: tuple[int, ...]) -> list[_Piece] | None:
        """What a rule puts in the element's place; None leaves it as it is."""
        tag, vr, _start, value, end, items = element
        place = (self._sop_class, path, tag, self._lists_references)
        verb = self._deidentifier.resolve(rule.verb, place)
        self._counts[verb.value] += 1
        written = VR_OF.get(tag) or vr_of(tag)
        if written == b"UN" or (written != b"SQ" and items is not None):
            written = vr
        match verb:
            case Verb.REMOVE:
                return []
            case Verb.EMPTY:
                return None if value == end else [encode.element(tag, written, b"", implicit=implicit)]
            case Verb.DUMMY:
                if written == b"SQ" or items is not None:
                    return [dummy_sequence(tag, implicit=implicit)]
                dummy = dummy_value(tag, written, self._value(element), self._key)
                return [encode.element(tag, written, dummy, implicit=implicit)]
            case Verb.HASH_UID:
                if items is not None:
                    return self._items(element, items, implicit=implicit, path=path)
                return self._hash_uid(element, implicit=implicit)
            case Verb.REPLACE:
                text = (rule.value or "").encode("ascii")
                return [encode.element(tag, written, text, implicit=implicit)]
            case Verb.KEEP:
                return None if items is None else self._items(element, items, implicit=implicit, path=path)
        raise RuleFailed(where=show(tag), reason=f"the action {verb.value} is not known to the engine")

    def _hash_uid(self, element: Element, *, implicit: bool) -> list[_Piece] | None:
        tag = element[0]
        text = self._value(element).decode("latin-1")
        replaced = "\\".join(uids.replace(one.strip("\0 "), self._key) for one in text.split("\\"))
        if replaced == text.strip("\0 "):
            return None
        return [encode.element(tag, b"UI", replaced.encode("ascii"), implicit=implicit)]

    def _value(self, element: Element) -> bytes:
        _tag, _vr, _start, value, end, _items = element
        if end - value > _COPY_LIMIT:
            raise UnsupportedEncoding(reason=f"{show(element[0])} is rewritten by a rule but has {end - value} bytes")
        return bytes(self._buffer[value:end])

    def _segments(self, meta: bytes, pieces: list[_Piece]) -> tuple[Segment, ...]:
        """Join short pieces; leave long stretches of the source as ranges of its file."""
        segments: list[Segment] = []
        joined: list[bytes | Buffer] = [meta]
        for piece in pieces:
            if isinstance(piece, bytes):
                joined.append(piece)
            elif piece[1] - piece[0] <= _COPY_LIMIT:
                joined.append(self._buffer[piece[0] : piece[1]])
            else:
                if joined:
                    segments.append(b"".join(joined))
                    joined = []
                segments.append(FileRange(self._instance.path, piece[0], piece[1] - piece[0]))
        if joined:
            segments.append(b"".join(joined))
        return tuple(segments)


def _length(pieces: list[_Piece]) -> int:
    return sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)
