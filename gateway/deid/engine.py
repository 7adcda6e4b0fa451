"""Applying a program to an encoded instance.

The engine walks the element tree once, copies what stays by byte range, rewrites what a rule touches and skips what
goes. Pixel data is never read: the output is a list of segments, in which long unchanged stretches are ranges of the
received file. Rules apply at every nesting depth (PS3.15 E.1.1). Conditions are decided once per instance, by its
values as received.

Whatever cannot be decided raises an InstanceError, which holds the instance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Final

from gateway.deid import coded, uids
from gateway.deid.clean import Cleaner
from gateway.deid.dates import dated_value, is_dating, patient_shift
from gateway.deid.dummies import dummy_value
from gateway.deid.guard import Guard
from gateway.deid.insert import NO_MORE, Insert, changed_items, with_declared_sets
from gateway.deid.layout import KEEP, PUT, REWRITE, RULE, SEQUENCE, Layout
from gateway.deid.level import (
    COPY_LIMIT,
    SPECIFIC_CHARACTER_SET,
    Level,
    Piece,
    Rope,
    bytes_of,
    check_length,
    content_length,
    joined,
    length_field,
    may_be_sequence,
    value_of,
)
from gateway.deid.number_source import NumberSource
from gateway.deid.outcome import Deidentified
from gateway.deid.patient import PATIENT_ID, Patient
from gateway.deid.plan import Plan
from gateway.deid.prepared import Prepared
from gateway.deid.private import PrivateElement
from gateway.deid.project_key import ProjectKey
from gateway.deid.recording import item_numbers, numbers_of_items, record, record_new
from gateway.deid.sequences import clean_sequence
from gateway.deid.trace import Trace
from gateway.deid.value_memory import LONGEST_REMEMBERED, LONGEST_SEQUENCE, STUDY, ItemKey, Items, Memories
from gateway.deid.values import Gone, Unsure, ValueRules, encode_value, read_values, written_vr
from gateway.deid.writer import Writer
from gateway.dicom import encode
from gateway.dicom.charset import CharacterSets
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Element, Item, find, index_items
from gateway.dicom.file_meta import FileMeta, write_file_meta
from gateway.dicom.instance import Instance
from gateway.dicom.iod import element_type, lists_references
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.tag import UNDEFINED_LENGTH, is_private, show
from gateway.dicom.vr import VALUE_REPRESENTATIONS
from gateway.errors import InstanceError, RuleFailed, WrongValue
from gateway.profile import Action, Program, RetainedUid, TimeOfDay, Truncation, Unnamed, Verb
from gateway.profile.situation import Truths
from gateway.remembering import BoundedMapping

STUDY_INSTANCE_UID: Final = 0x0020000D
SERIES_INSTANCE_UID: Final = 0x0020000E
SOP_INSTANCE_UID: Final = 0x00080018
SOP_CLASS_UID: Final = 0x00080016
#: Programs for different outcomes of the conditions, kept ready.
_MOST_PLANS: Final = 64
_ODD_GROUP: Final = 0x00010000
#: Longer items are hardly met twice, in bytes.
_LONGEST_ITEM: Final = 2048
_CLEANED_TEXT: Final = frozenset((b"LO", b"LT", b"SH", b"ST", b"UC", b"UT"))
#: Codes, their scheme, version, and meaning (PS3.3 8.8).
_CODED: Final = frozenset((0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x00080119, 0x00080122))


class Deidentifier:
    """Applies one program with one project's key to any number of instances.

    Parameters
    ----------
    program
        the compiled profile
    key
        the project's key
    numbers
        where sequential pseudonyms come from; without it a rule that asks for one holds the instance
    """

    def __init__(self, program: Program, key: ProjectKey, *, numbers: NumberSource | None = None) -> None:
        self._program = program
        self._plans: BoundedMapping[Truths, Prepared] = BoundedMapping(_MOST_PLANS)
        self.key = key
        self.numbers = numbers
        self.values = ValueRules(key, numbers)
        if not program.conditions:
            self._plan(())

    @property
    def program(self) -> Program:
        """The program that is applied."""
        return self._program

    def apply(
        self,
        instance: Instance,
        truths: Truths = (),
        *,
        trace: Trace | None = None,
        pixels: PixelChange | None = None,
    ) -> Deidentified:
        """De-identify ``instance``.

        Parameters
        ----------
        instance
            the instance as received
        truths
            how the conditions of the program came out for it: ``gateway.profile.situation.decided``
        trace
            gets one entry for every element that is met
        pixels
            what the pixel rules made of it; its elements stand above the rules for attributes

        Raises
        ------
        InstanceError
            a rule cannot be applied or the instance lacks what its identity is derived from; hold it
        ValueError
            the program has not as many conditions
        """
        return _Run(self, self._plan(truths).of(instance), instance, trace, pixels).output()

    def _plan(self, truths: Truths) -> Prepared:
        plan = self._plans.get(truths)
        if plan is None:
            plan = self._plans[truths] = Prepared(Plan(self._program.specialise(truths)))
        return plan


class _Run:
    """One instance on its way through the engine; what ``gateway.deid.host.Host`` describes."""

    def __init__(
        self,
        deidentifier: Deidentifier,
        prepared: Prepared,
        instance: Instance,
        trace: Trace | None,
        pixels: PixelChange | None,
    ) -> None:
        self._deidentifier = deidentifier
        self._prepared = prepared
        self._plan = plan = prepared.plan
        self._instance = instance
        self._trace = trace
        self._pixels = pixels
        self._within = {} if pixels is None else changed_items(pixels)
        self._transfer_syntax = instance.transfer_syntax if pixels is None else pixels.transfer_syntax
        self._counts: Counter[str] = Counter()
        self._sop_class = instance.text(SOP_CLASS_UID) or instance.meta.sop_class_uid
        self._lists_references = lists_references(instance.elements)
        self._known = plan.known(instance)
        self._numbers = item_numbers(instance.elements) if trace is not None else {}
        self._cleaning: Action = plan.cleaning
        #: How often the study's identity had a say.
        self._consulted = 0
        self.key = deidentifier.key
        self.program = plan.program
        self.buffer = instance.buffer

    @property
    def cleaner(self) -> Cleaner:
        """The cleaner of free text, with the context of this instance."""
        self._consulted += 1
        return self._study_cleaner

    @cached_property
    def _study_cleaner(self) -> Cleaner:
        return self._plan.cleaner(self._instance)

    @cached_property
    def _memories(self) -> Memories:
        """What came of values in which no other element has a say."""
        return self._plan.memories(self._make)

    @cached_property
    def _of_study(self) -> Memories:
        """What came of values that are cleaned by what identifies the study."""
        return self._plan.memories((self._memories, self.cleaner))

    @cached_property
    def _make(self) -> tuple[object, ...]:
        """What the encoding of a new value depends on, besides the old one."""
        instance = self._instance
        subject = self._patient.subject if self.program.shift is not None else ()
        return instance.implicit, instance.character_sets, self._sop_class, self._lists_references, subject

    @cached_property
    def _patient(self) -> Patient:
        return self._plan.patient(self._instance, self.key, self._deidentifier.numbers)

    @cached_property
    def _days(self) -> int:
        if self.program.shift is None:
            raise RuleFailed(where="the date shift", reason="the profile does not say by how many days")
        return patient_shift(self.program.shift, self.key, self._patient.subject)

    def output(self) -> Deidentified:
        """The output, made."""
        instance = self._instance
        sop_uid = instance.text(SOP_INSTANCE_UID) or instance.meta.sop_instance_uid
        if not sop_uid or not self._sop_class:
            missing = show(SOP_CLASS_UID if sop_uid else SOP_INSTANCE_UID)
            raise InstanceError(reason=f"neither the data set nor the file meta information has {missing}")
        elements = instance.elements
        begin = elements[0][2] if elements else 0
        top = Level(elements, path=(), numbers=(), implicit=instance.implicit, outer=self._plan.outer)
        writer = Writer(self._plan, instance, top, patient=lambda: self._patient, pixels=self._pixels)
        # A traced run remembers nothing.
        inserts, written = self._prepared.writings.of(writer, instance.make if self._trace is None else None)
        self._counts.update(written)
        layout = self._layout(top, inserts)
        if layout is None:
            pieces, _ = self._level(top, (begin, begin), inserts)
        else:
            pieces = self._laid_out(layout, top, inserts)
        new_sop_uid = self._new_uid(SOP_INSTANCE_UID, sop_uid)
        meta = write_file_meta(
            FileMeta(
                transfer_syntax=self._transfer_syntax,
                sop_class_uid=self._sop_class,
                sop_instance_uid=new_sop_uid,
            )
        )
        return Deidentified(
            segments=joined([meta, *pieces], instance.buffer, instance.path),
            patient_id=self._patient_id(inserts),
            study_uid=self._new_uid(STUDY_INSTANCE_UID, instance.text(STUDY_INSTANCE_UID)),
            series_uid=self._new_uid(SERIES_INSTANCE_UID, instance.text(SERIES_INSTANCE_UID)),
            sop_uid=new_sop_uid,
            sop_class_uid=self._sop_class,
            transfer_syntax=self._transfer_syntax,
            sop_key=self.key.token("instance", sop_uid),
            actions=dict(self._counts),
            identities=self._plan.claims(instance, self.key, self._patient),
            unknown_words=frozenset(self._study_cleaner.unknown) if "_study_cleaner" in vars(self) else frozenset(),
        )

    # What the modules that rewrite sequences call.

    def content(self, item: Item, path: tuple[int, ...], sets: CharacterSets, overrides: Mapping[int, bytes]) -> bytes:
        """The content of ``item`` with the program's rules applied, without the item's header and delimiter."""
        start, content, _end, implicit, nested = item
        numbers = self._numbers.get(start, ())
        level = Level(nested, path=path, numbers=numbers, implicit=implicit, outer=sets, cleaned=True)
        inserts = [Insert(tag, element, self._cleaning) for tag, element in sorted(overrides.items())]
        pieces, _ = self._level(level, (content, content), inserts)
        return b"".join(bytes_of(piece, self.buffer) for piece in pieces)

    # The identifiers of the output.

    def _patient_id(self, inserts: Sequence[Insert]) -> str:
        """What the output has as Patient ID, if a rule made it: what is kept would be identity in the ledger."""
        rule = self._plan.rule_at_top(PATIENT_ID)
        if rule is not None and rule.verb in (Verb.PSEUDONYMISE, Verb.REPLACE):
            element = find(self._instance.elements, PATIENT_ID)
            if element is not None and not any(insert.tag == PATIENT_ID for insert in inserts):
                return self._made_patient_id(rule, element)
        return self._patient.pseudonym

    def _made_patient_id(self, rule: Action, element: Element) -> str:
        if rule.verb is Verb.REPLACE:
            return rule.value or self._patient.pseudonym
        values, exact = read_values(self.buffer, element, b"LO", self._instance.character_sets)
        try:
            made = self._deidentifier.values.rewrite(rule, show(PATIENT_ID), values, exact=exact)
        except (Gone, Unsure):
            made = []
        return "\\".join(made) or self._patient.pseudonym

    def _new_uid(self, tag: int, original: str) -> str:
        """What the element's rule makes of a UID; empty where the instance has none."""
        rule = self._plan.rule_at_top(tag)
        return original if rule is None or not original else uids.made(original, self.key, rule)

    # The walk.

    def _level(self, level: Level, content: tuple[int, int], inserts: Sequence[Insert]) -> tuple[list[Piece], bool]:
        """One data set or item: its pieces, and whether it stays as received.

        ``content`` is the byte range that the level occupies in the source; ``inserts`` take the place of received
        elements with their tags, in tag order.
        """
        plan, trace = self._plan, self._trace
        # Private elements that stay are in ``private``.
        rules, rule_of, remove_private, kept = plan.rules, plan.rule, plan.remove_private, self._kept
        special = plan.at(level.path)
        if coded.has_code(level.elements):
            inserts = self._coded(level, inserts)
        if level.path and level.elements and level.elements[0][0] <= SPECIFIC_CHARACTER_SET:
            inserts = with_declared_sets(inserts, level, self.buffer)
        private = self._private(level) if plan.private.active else {}
        rope, removed = Rope(), 0
        waiting = iter(inserts)
        insert = next(waiting, NO_MORE)
        insert_tag = insert.tag
        for element in level.elements:
            tag, _vr, start, _value, end, _items = element
            while tag > insert_tag:
                self._put(rope, insert, level, None)
                insert = next(waiting, NO_MORE)
                insert_tag = insert.tag
            if tag == insert_tag:
                self._put(rope, insert, level, element)
                insert = next(waiting, NO_MORE)
                insert_tag = insert.tag
                continue
            if private and tag in private:
                replaced = private[tag][0]
            else:
                table = special if tag in special else rules
                rule = table[tag] if tag in table else remove_private if tag & _ODD_GROUP else rule_of(tag)
                if rule is None:
                    replaced = kept(element, level)
                elif rule.verb is Verb.REMOVE:
                    removed += 1
                    replaced = []
                else:
                    replaced = self._apply(rule, element, level)
            if trace is not None:
                action = private[tag][1] if tag in private else plan.action(level.path, tag)
                record(trace, self.buffer, level, element, action=action, replaced=replaced)
            if replaced is None:
                rope.keep(start, end)
            elif replaced:
                rope.put(replaced)
        while insert is not NO_MORE:
            self._put(rope, insert, level, None)
            insert = next(waiting, NO_MORE)
        rope.flush()
        if removed:  # a count of none would tell the first item that stays from the others of its kind
            self._counts[Verb.REMOVE.value] += removed
        unchanged = rope.pieces == [content] or (not rope.pieces and content[0] == content[1])
        return rope.pieces, unchanged

    def _layout(self, top: Level, inserts: Sequence[Insert]) -> Layout | None:
        """What becomes of data sets of this make; None if every element has to be looked at."""
        make = self._instance.make
        if make is None or self._trace is not None or self._known:
            return None
        if coded.has_code(top.elements):
            return None
        tags = tuple([insert.tag for insert in inserts])
        iod = self._sop_class, self._lists_references
        layout = self._prepared.layouts.find(make, self.buffer, top.elements, tags, iod)
        return layout if layout is not None and self._fits(layout, top) else None

    def _fits(self, layout: Layout, top: Level) -> bool:
        """Whether every element that the layout leaves as it is may stay."""
        guards, buffer, elements = self._plan.guards, self.buffer, top.elements
        sets = partial(top.sets, buffer)
        return guards.all_fit(self._instance, sets) and all(
            guards.fits(guard, buffer, elements[number], sets) for number, guard in layout.private
        )

    def _laid_out(self, layout: Layout, level: Level, inserts: Sequence[Insert]) -> list[Piece]:
        """The pieces of a top level whose make is known."""
        elements, buffer = level.elements, self.buffer
        pieces: list[Piece] = []
        put = pieces.append
        for kind, first, last, rule, verb in layout.steps:
            if kind == KEEP:
                start, end = elements[first][2], elements[last][4]
                put(buffer[start:end] if end - start <= COPY_LIMIT else (start, end))
                continue
            if kind == PUT:
                _tag, made, _action, rest = inserts[first]
                if made:
                    put(made)
                    pieces += rest
                continue
            element = elements[first]
            tag, vr, start, value, end, items = element
            if kind == SEQUENCE:
                replaced = self._sequence(element, items or [], level)
            else:
                assert rule is not None
                if kind == RULE or end - value > LONGEST_REMEMBERED:
                    replaced = self._carry_out(verb, rule, element, level)
                else:
                    memory = (self._memories if kind == REWRITE else self._of_study).values
                    key = tag, vr, buffer[value:end]
                    known = memory.get(key)
                    if known is None:
                        replaced = self._carry_out(verb, rule, element, level)
                        memory.put(key, replaced)
                    else:
                        replaced = known[0]
            if replaced is None:
                put((start, end))
            else:
                pieces += replaced
        self._counts.update(layout.counts)
        return pieces

    def _sequence(self, element: Element, items: list[Item], level: Level) -> list[Piece] | None:
        """As ``_items``, of a sequence at the top level of a known make: the same became of the same bytes before."""
        tag, vr, start, _value, end, _items = element
        if end - start > LONGEST_SEQUENCE or self._within or not self._plan.repeats_sequences:
            return self._items(element, items, level)
        key = tag, vr, self.buffer[start:end]
        sequences = self._memories.sequences
        known = sequences.get(key)
        if known is STUDY:
            known = self._of_study.sequences.get(key)
        if known is not None and known is not STUDY:
            replaced, changed = known
            if changed:
                self._counts.update(changed)
            return replaced
        consulted, before = self._consulted, Counter(self._counts)
        replaced = self._items(element, items, level)
        if replaced is not None:
            replaced = [b"".join(bytes_of(piece, self.buffer) for piece in replaced)]
        made = replaced, self._counts - before
        if consulted == self._consulted:
            sequences.put(key, made)
        else:
            sequences.put(key, STUDY)
            self._of_study.sequences.put(key, made)
        return replaced

    def _coded(self, level: Level, inserts: Sequence[Insert]) -> Sequence[Insert]:
        """``inserts`` with what takes the place of the elements of a coded entry, where a rule does not say it."""
        changed = coded.overrides(self, level.elements, implicit=level.implicit, sets=level.sets(self.buffer))
        own = {insert.tag for insert in inserts}
        added = [
            Insert(tag, element, self._plan.coding)
            for tag, element in changed.items()
            if tag not in own and self._plan.action(level.path, tag) is self.program.unlisted
        ]
        if not added:
            return inserts
        self._counts[Verb.CLEAN.value] += len(added)
        return sorted((*inserts, *added))

    def _put(self, rope: Rope, insert: Insert, level: Level, received: Element | None) -> None:
        if insert.element:
            rope.put([insert.element, *insert.rest])
        if self._trace is not None:
            pieces: list[Piece] = [insert.element] if insert.element else []
            if received is not None:
                record(self._trace, self.buffer, level, received, action=insert.action, replaced=pieces)
            elif pieces:
                record_new(self._trace, level, insert.tag, insert.element, action=insert.action)

    def _items(self, element: Element, items: list[Item], level: Level) -> list[Piece] | None:
        """A kept sequence with the rules applied inside; None if nothing inside changes."""
        tag, vr, _start, value, _end, _items = element
        below = (*level.path, tag)
        done: list[tuple[list[Piece], bool]] = []
        changed = False
        unchanged = self._unchanged(level)
        for item in items:
            start, content, item_end, item_implicit, nested = item
            delimited = length_field(self.buffer, content) == UNDEFINED_LENGTH
            stop = item_end - 8 if delimited else item_end
            known: ItemKey | None = None
            if unchanged is not None and stop - content <= _LONGEST_ITEM and start not in self._within:
                known = below, item_implicit, self.buffer[content:stop]
                if known in unchanged:
                    done.append(([(content, stop)], delimited))
                    continue
                before = self._consulted, dict(self._counts)
            numbers = self._numbers.get(start, ())
            inner = Level(
                nested, path=below, numbers=numbers, implicit=item_implicit, outer=level, cleaned=level.cleaned
            )
            pieces, same = self._level(inner, (content, stop), self._within.get(start, ()))
            if not same:
                changed = True
            elif known is not None and unchanged is not None and before == (self._consulted, self._counts):
                unchanged.add(known)
            done.append((pieces, delimited))
        if not changed:
            return None
        body: list[Piece] = []
        for pieces, delimited in done:
            body.append(encode.item_header(UNDEFINED_LENGTH if delimited else content_length(pieces)))
            body.extend(pieces)
            if delimited:
                body.append(encode.ITEM_END)
        if length_field(self.buffer, value) == UNDEFINED_LENGTH:
            return [encode.header(tag, vr, UNDEFINED_LENGTH, implicit=level.implicit), *body, encode.SEQUENCE_END]
        return [encode.header(tag, vr, content_length(body), implicit=level.implicit), *body]

    def _unchanged(self, level: Level) -> Items | None:
        """The items that were left as they are under this level's sequences; None where each has to be looked at."""
        if self._trace is not None or self._known or level.cleaned:
            return None
        return self._memories.unchanged(level.sets(self.buffer))

    def _kept(self, element: Element, level: Level) -> list[Piece] | None:
        """What becomes of an element that the rules keep; None if it stays as it is."""
        guards, items = self._plan.guards, element[5]
        guard = guards.at(level.path, element[0])
        if guard is not None and not guards.fits(guard, self.buffer, element, partial(level.sets, self.buffer)):
            return self._misfit(guard, element, level)
        if items is not None:
            return self._items(element, items, level)
        return self._unlisted(element, level) if level.cleaned else None

    def _misfit(self, guard: Guard, element: Element, level: Level) -> list[Piece] | None:
        """What becomes of an element that stays, but not with this value: ``Guards.rest``, or what the IOD allows."""
        tag = element[0]
        rest = self._plan.guards.rest(guard, self.buffer, element, level.sets(self.buffer))
        self._counts[(Verb.REMOVE if rest is None else Verb.CLEAN).value] += 1
        if rest is not None:
            vr, value = rest
            return (
                [encode.element(tag, vr, value, implicit=level.implicit)] if value else self._gone(element, level, vr)
            )
        needed = element_type(self._sop_class, level.path, tag)
        if needed in ("1", "1C"):
            raise WrongValue(where=show(tag))
        empty = encode.element(tag, vr_of(tag), b"", implicit=level.implicit)
        return [empty] if needed in ("2", "2C") else []

    # Private elements.

    def _private(self, level: Level) -> dict[int, tuple[list[Piece] | None, Action]]:
        """What becomes of the private elements that do not simply go, and of the creators of those that stay."""
        decided = self._plan.private.find(self.buffer, level.elements, self._known)
        if not decided:
            return {}
        done: dict[int, tuple[list[Piece] | None, Action]] = {}
        creators: dict[int, tuple[list[Piece] | None, Action]] = {}
        for element in level.elements:
            tag = element[0]
            private = decided.get(tag)
            if private is None:
                continue
            replaced = self._private_element(element, private, level)
            done[tag] = replaced, private.action
            if replaced is None or replaced:
                creators.setdefault(tag & 0xFFFF0000 | tag >> 8 & 0xFF, (None, private.action))
        return {**done, **creators}

    def _private_element(self, element: Element, private: PrivateElement, level: Level) -> list[Piece] | None:
        tag, vr, start, value, end, items = element
        if items is None and may_be_sequence(self.buffer, private.vr, value, end):
            items = index_items(self.buffer, value, end, tag=tag, implicit=level.implicit)
            element = tag, vr, start, value, end, items
            if self._trace is not None:
                self._numbers.update(numbers_of_items(items, level.numbers))
        if private.action.verb is not Verb.KEEP:
            return self._apply(private.action, element, level, private=private)
        if private.guard is not None and not self._plan.guards.fits(
            private.guard, self.buffer, element, partial(level.sets, self.buffer)
        ):
            self._counts[Verb.REMOVE.value] += 1
            return []
        if items is None and isinstance(private.action.options, TimeOfDay):
            return self._apply(private.action, element, level, private=private)
        return None if items is None else self._items(element, items, level)

    # Verbs.

    def _apply(
        self, rule: Action, element: Element, level: Level, *, private: PrivateElement | None = None
    ) -> list[Piece] | None:
        """What a rule puts in the element's place; None leaves it as it is."""
        tag = element[0]
        verb = self._plan.resolve(rule.verb, (self._sop_class, level.path, tag, self._lists_references))
        replaced = self._carry_out(verb, rule, element, level, private=private)
        # A registered UID stays.
        if replaced is not None or verb is not Verb.HASH_UID or not level.path:
            self._counts[verb.value] += 1
        return replaced

    def _carry_out(
        self, verb: Verb, rule: Action, element: Element, level: Level, *, private: PrivateElement | None = None
    ) -> list[Piece] | None:
        """As ``_apply``, where it is known what the verb means."""
        tag, received, _start, _value, _end, items = element
        vr = private.vr if private is not None else written_vr(tag, received, is_sequence=items is not None)
        if verb is Verb.CLEAN or isinstance(rule.options, Unnamed):
            return self._clean(rule, element, level, vr)
        if isinstance(rule.options, RetainedUid):
            return self._uid(rule, element, level)
        if verb in _SIMPLE and not isinstance(rule.options, TimeOfDay):
            return self._simple(verb, element, level, vr)
        if is_dating(rule) and (items is None or not isinstance(rule.options, Truncation)):
            return self._items(element, items, level) if items is not None else self._dated(rule, element, level, vr)
        if items is not None:
            raise RuleFailed(where=show(tag), reason=f"the action {verb.value} cannot be applied to a sequence")
        match verb:
            case Verb.REPLACE:
                value = encode_value(tag, vr, rule.value or "", level.sets(self.buffer))
                return [encode.element(tag, vr, value, implicit=level.implicit)]
            case Verb.PSEUDONYMISE | Verb.MAP | Verb.GENERALISE | Verb.REGEX:
                return self._rewrite(rule, element, level, vr, show(tag) if private is None else private.name)
        raise RuleFailed(where=show(tag), reason=f"the action {verb.value} is not known to the engine")

    def _simple(self, verb: Verb, element: Element, level: Level, vr: bytes) -> list[Piece] | None:
        """The verbs of PS3.15 Table E.1-1a that need nothing but the element."""
        tag, _received, _start, value, end, items = element
        match verb:
            case Verb.REMOVE:
                return []
            case Verb.EMPTY:
                return None if value == end else [encode.element(tag, vr, b"", implicit=level.implicit)]
            case Verb.DUMMY:
                if vr == b"SQ" or items is not None:
                    return [self._plan.dummy(tag, level.path, self._sop_class, implicit=level.implicit)]
                dummy = dummy_value(tag, vr, value_of(self.buffer, element), self.key)
                return [encode.element(tag, vr, dummy, implicit=level.implicit)]
            case Verb.HASH_UID if items is None:
                return self._uid(None, element, level)
            case _:
                return None if items is None else self._items(element, items, level)

    def _uid(self, rule: Action | None, element: Element, level: Level) -> list[Piece] | None:
        raw = value_of(self.buffer, element)
        replaced = uids.replaced_element(element, raw, self.key, rule, implicit=level.implicit)
        return None if replaced is None else [replaced]

    def _dated(self, rule: Action, element: Element, level: Level, vr: bytes) -> list[Piece] | None:
        tag, value = element[0], value_of(self.buffer, element)
        new = dated_value(rule, vr, value, self._days if rule.verb is Verb.SHIFT_DATE else 0)
        if new is None:
            return self._unsure(element, level, vr, "its value is no date that can be changed")
        if new == value.strip(b"\0 "):
            return None
        return [encode.element(tag, vr, new, implicit=level.implicit)] if new else self._gone(element, level, vr)

    def _rewrite(self, rule: Action, element: Element, level: Level, vr: bytes, name: str) -> list[Piece] | None:
        tag, sets = element[0], level.sets(self.buffer)
        check_length(element)
        values, exact = read_values(self.buffer, element, vr, sets)
        try:
            new = self._deidentifier.values.rewrite(rule, name, values, exact=exact)
        except Unsure:
            return self._unsure(element, level, vr, f"{rule.verb.value} does not know its value")
        except Gone:
            return self._gone(element, level, vr)
        if new == values:
            return None
        received = value_of(self.buffer, element) if rule.verb in (Verb.REGEX, Verb.GENERALISE) else b""
        value = encode_value(tag, vr, "\\".join(new), sets, part_of=received)
        return [encode.element(tag, vr, value, implicit=level.implicit)]

    def _clean(self, rule: Action, element: Element, level: Level, vr: bytes) -> list[Piece] | None:
        tag, received, _start, value, end, items = element
        sets = level.sets(self.buffer)
        self._cleaning = rule
        if items is not None:
            cleaned = clean_sequence(self, element, path=level.path, sets=sets, implicit=level.implicit)
            if cleaned is None:
                return self._gone(element, level, vr)
            if received == b"UN" and not level.implicit:
                # Items inside VR UN are implicit VR, which only this VR tells (PS3.5 6.2.2).
                cleaned = cleaned[:4] + received + cleaned[6:]
            return [cleaned]
        if value == end:
            return None
        facts = VALUE_REPRESENTATIONS[vr]
        if not facts.text:
            return self._gone(element, level, vr)
        check_length(element)
        values, exact = read_values(self.buffer, element, vr, sets)
        text = "\\".join(values)
        left = self.cleaner.text(tag, vr, text, keeps_unknown=isinstance(rule.options, Unnamed))
        if not left:
            return self._gone(element, level, vr)
        if left == text and exact:
            return None
        try:
            new = encode_value(tag, vr, left, sets, part_of=value_of(self.buffer, element))
        except RuleFailed as failed:
            return self._unsure(element, level, vr, str(failed.facts["reason"]))
        return [encode.element(tag, vr, new, implicit=level.implicit)]

    def _unlisted(self, element: Element, level: Level) -> list[Piece] | None:
        """Text that no rule names inside a sequence that one cleans; codes have rules of their own."""
        tag, vr = element[0], element[1]
        if vr == b"UN":
            vr = vr_of(tag)
        if vr not in _CLEANED_TEXT or tag in _CODED or self._plan.action(level.path, tag) is not self.program.unlisted:
            return None
        self._counts[Verb.CLEAN.value] += 1
        return self._clean(self._cleaning, element, level, vr)

    def _unsure(self, element: Element, level: Level, vr: bytes, reason: str) -> list[Piece] | None:
        """What becomes of a value that its rule cannot work on, as the profile says."""
        if self.program.when_unsure == "hold":
            raise RuleFailed(where=show(element[0]), reason=reason)
        return self._gone(element, level, vr)

    def _gone(self, element: Element, level: Level, vr: bytes) -> list[Piece] | None:
        """An element without its value: removed, emptied or a dummy, as its Type allows."""
        tag = element[0]
        verb = Verb.REMOVE
        if not is_private(tag):
            place = (self._sop_class, level.path, tag, self._lists_references)
            verb = self._plan.resolve(Verb.REMOVE_OR_EMPTY_OR_DUMMY, place)
        return self._simple(verb, element, level, vr)


_SIMPLE: Final = frozenset((Verb.REMOVE, Verb.EMPTY, Verb.DUMMY, Verb.HASH_UID, Verb.KEEP))
