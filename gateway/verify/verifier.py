"""The last look at an output before it may leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gateway.dicom.charset import DEFAULT_REPERTOIRE, CharacterSets, character_sets, decode, split_values
from gateway.dicom.encoded import Element, find
from gateway.dicom.identifying import Kind
from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import Segment
from gateway.dicom.tag import PIXEL_DATA, show
from gateway.dicom.uid import is_well_known
from gateway.dicom.vr import VALUE_REPRESENTATIONS
from gateway.errors import LeakSuspected
from gateway.profile import Mapping_, Program, Verb
from gateway.profile.situation import Truths
from gateway.remembering import BoundedMapping
from gateway.verify import harmless_words
from gateway.verify.assertion import Assertion
from gateway.verify.clock_times import Clocks
from gateway.verify.coded_pixels import coded_kinds
from gateway.verify.harvest import SPECIFIC_CHARACTER_SET, Finding, Harvest, Harvester
from gateway.verify.needle import Needle
from gateway.verify.needles import needles
from gateway.verify.output_reader import Output, read_output
from gateway.verify.pixel_elements import check_change
from gateway.verify.program_rules import Rules
from gateway.verify.recollection import Recollection
from gateway.verify.retained_uids import kinds_in_uid
from gateway.verify.scan import Hit, Scanner
from gateway.verify.text_normalisation import squash

__all__ = ["Verifier"]

#: UIDs that stand for no instance: the gateway's own dummy.
_DUMMY_UIDS: Final = frozenset(("2.25.0",))
_SOP_CLASS_UID: Final = 0x00080016
_DATES: Final = frozenset((Kind.DATE, Kind.BIRTH_DATE))
#: Studies that come at the same time, and needles of a usual one.
_MOST_STUDIES: Final = 64
_USUAL: Final = 256
#: Outcomes of the conditions whose checks are kept ready.
_MOST_OUTCOMES: Final = 64


class Verifier:
    """Verifies outputs of one program against their originals (promises P2, P11).

    Parameters
    ----------
    program
        what the outputs must honour. Values that one of its rules keeps are not searched for, and neither are
        equal values elsewhere: they are known to stay. The same holds for what the program itself writes.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._checks: BoundedMapping[Truths, Checks] = BoundedMapping(_MOST_OUTCOMES)
        if not program.conditions:
            self._ready(())

    def check(
        self,
        instance: Instance,
        output: Sequence[Segment],
        truths: Truths = (),
        *,
        pixels: PixelChange | None = None,
    ) -> None:
        """Verify ``output``, the whole Part 10 file that was made of ``instance``.

        Parameters
        ----------
        instance
            the original
        output
            what is to leave
        truths
            how the conditions of the program came out, as the engine had them
        pixels
            what was done to the pixels, as the engine had it; what is in them, others check

        Raises
        ------
        LeakSuspected
            an identifying value of the original is found anywhere outside pixel data, or the program was
            not carried out; the facts name elements and kinds of values, never values
        InstanceError
            the output cannot be read back
        SpoolCorrupt
            a file is shorter than a segment of it
        """
        self._ready(truths).check(instance, read_output(instance, output, pixels), pixels)

    def _ready(self, truths: Truths) -> Checks:
        checks = self._checks.get(truths)
        if checks is None:
            checks = self._checks[truths] = Checks(self._program.specialise(truths))
        return checks


class Checks:
    """The checks of a program without conditions.

    Parameters
    ----------
    program
        specialised
    """

    def __init__(self, program: Program) -> None:
        self._harvester = Harvester(Rules(program))
        self._assertion = Assertion(program)
        self._scanner = Scanner(program)
        self._written = frozenset(squash(text) for text in _texts(program))
        self._changing = frozenset(_changing(program))
        self._needles = Recollection[frozenset[Needle]](_MOST_STUDIES)
        self._clocks = None if program.times == "keep" else Clocks(program)

    def check(self, instance: Instance, output: Output, pixels: PixelChange | None = None) -> None:
        """Check what the program's output of ``instance`` holds, with ``pixels`` done to its pixels.

        Raises
        ------
        LeakSuspected
            as ``Verifier.check``
        """
        check_change(instance, output, pixels)
        dates = self._assertion.check(instance, output, pixels)
        harvested = self._harvester.harvest(instance)
        wanted = self.needles(harvested, output, dates)
        telling = self._telling(harvested, wanted)
        uids, kept = self.uids(harvested) | telling.keys(), harvested.kept_uids - telling.keys()
        hits = self._scanner.hits(output, instance.buffer, wanted, uids, kept)
        coded = [Hit(show(PIXEL_DATA), kind) for kind in coded_kinds(instance, output, pixels, wanted)]
        if telling and any(hit.kind is Kind.UID for hit in hits):
            hits = [*(hit for one in telling.values() for hit in one), *hits]
        hits += coded
        hits += _in_class(output, wanted)
        if self._clocks is not None:
            hits += self._clocks.hits(instance, output)
        if hits:
            others = f" (and {len(hits) - 1} more)" if len(hits) > 1 else ""
            raise LeakSuspected(
                where=hits[0].where, reason=f"kind {hits[0].kind}{others}", hits=tuple(str(hit) for hit in hits)
            )

    def needles(self, harvested: Harvest, output: Output, dates: frozenset[str] = frozenset()) -> frozenset[Needle]:
        """What must not be found in ``output``, other than UIDs.

        Parameters
        ----------
        harvested
            the original's identifying values
        output
            what a rule looked at and let stay there is known
        dates
            dates that the program wrote
        """
        stayed = frozenset(self._stayed(harvested, output))
        context = harvested.device_type, dates, stayed
        values = harvested.findings, harvested.kept
        known = self._needles.of(context).get(values)
        if known is None:
            known = self._made(harvested, stayed, dates)
            self._needles.keep(context, values, known, weight=1 + len(known) // _USUAL)
        return known

    def _made(self, harvested: Harvest, stayed: frozenset[tuple[int, str]], dates: frozenset[str]) -> frozenset[Needle]:
        wanted = [
            finding
            for finding in harvested.findings
            if not (finding.kind in _DATES and finding.text in dates)
            and not (self._written and squash(finding.text) in self._written)
            and not (stayed and (finding.tag, squash(finding.text)) in stayed)
        ]
        known = {needle.form for needle in _made_of(harvested.kept)}
        known.update(
            needle.form
            for finding in harvested.findings
            if stayed and (finding.tag, squash(finding.text)) in stayed
            for needle in needles(finding.kind, finding.text)
        )
        device_type = f" {squash(' '.join(harvested.device_type))} "
        return frozenset(
            needle
            for needle in _made_of(wanted)
            if needle.form not in known
            and not (needle.kind is Kind.DEVICE and needle.form in device_type)
            and not (_is_maker(needle) and f" {needle.form} " in device_type)
        )

    def uids(self, harvested: Harvest) -> frozenset[str]:
        """The UIDs that must not be found."""
        return frozenset(harvested.uids) - harvested.kept_uids - _DUMMY_UIDS

    def _telling(self, harvested: Harvest, wanted: frozenset[Needle]) -> dict[str, list[Hit]]:
        """The UIDs that a rule keeps and that hold a number of the patient or a date: the engine has to replace them.

        Each with what is to be said of it where it is still there.
        """
        hits: dict[str, list[Hit]] = {}
        for uid in sorted(harvested.kept_uids):
            for kind in kinds_in_uid(uid, wanted):
                where = ", ".join(sorted(show(tag) for tag in harvested.uids.get(uid, ())))
                hits.setdefault(uid, []).append(Hit(f"the retained UID of {where}", kind))
        return hits

    def _stayed(self, harvested: Harvest, output: Output) -> set[tuple[int, str]]:
        """Attribute and squashed value of what a rule that looks at values let stay in the output."""
        tags = self._changing & {finding.tag for finding in harvested.findings}
        return set(_values(output.buffer, output.elements, tags, DEFAULT_REPERTOIRE)) if tags else set()


def _in_class(output: Output, wanted: frozenset[Needle]) -> list[Hit]:
    """What a SOP Class UID that nobody registered tells: it stays, since without it nobody can read the instance."""
    element = find(output.elements, _SOP_CLASS_UID)
    own = {output.meta.sop_class_uid}
    if element is not None:
        own.add(output.buffer[element[3] : element[4]].decode("latin-1").strip("\0 "))
    kinds = {kind for uid in own if not is_well_known(uid) for kind in kinds_in_uid(uid, wanted)}
    return [Hit(show(_SOP_CLASS_UID), kind) for kind in sorted(kinds)]


def _is_maker(needle: Needle) -> bool:
    """Whether a name or an institution is the maker of machines: on one of its own it names nobody."""
    return needle.kind in (Kind.NAME, Kind.INSTITUTION) and all(map(harmless_words.is_vendor, needle.form.split()))


def _made_of(findings: Iterable[Finding]) -> Iterable[Needle]:
    return (needle for finding in findings for needle in needles(finding.kind, finding.text))


def _texts(program: Program) -> Iterator[str]:
    """What the program itself writes."""
    actions = [*program.actions.values(), *(rule.action for rule in program.paths)]
    for action in (*actions, *(action for _, action in program.inserts)):
        if action.value:
            yield from (action.value, *action.value.split("\\"))
        if isinstance(action.options, Mapping_):
            yield from (replacement for _, replacement in action.options.pairs if replacement)


def _changing(program: Program) -> Iterator[int]:
    """The attributes whose values a rule lets stay if they are harmless, or if it does not know them."""
    for tag, action in (*program.actions.items(), *((rule.tag, rule.action) for rule in program.paths)):
        if action.verb is Verb.CLEAN or getattr(action.options, "otherwise", "") == "keep":
            yield tag


def _values(
    buffer: bytes, elements: list[Element], tags: frozenset[int], sets: CharacterSets
) -> Iterator[tuple[int, str]]:
    for tag, vr, _start, value, end, items in elements:
        if items is not None:
            for item in items:
                yield from _values(buffer, item[4], tags, sets)
        elif tag == SPECIFIC_CHARACTER_SET:
            sets = character_sets(buffer[value:end])
        elif tag in tags and VALUE_REPRESENTATIONS[vr].text:
            for text in split_values(decode(buffer[value:end], vr, sets).text, vr):
                yield tag, squash(text)
