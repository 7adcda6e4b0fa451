"""Whether the times of day of an output are as coarse as the profile says.

Two looks: every TM and DT at every depth that no rule keeps by its own name is read for more than it may hold; and the
times of the original that had to become coarse are looked for in the texts of the output, in these forms.

| written | read as |
|---|---|
| `14:35`, `14:35:22.5`, `14h35`, `2:35 PM` | a time |
| `14.35 h`, `14.35 Uhr`, `1435 h`, `2.35 pm` | a time, for what stands behind it |
| `143522`, `20240315143522`, `2024-03-15T14:35` | a time; six digits only to the second of the original |

A time on the stroke of an hour tells no more than the hour, and midnight is what a dummy says: they are not looked for
where that is left. Nor is a time that the original also has where a rule keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.dicom.dictionary import VR_OF
from gateway.dicom.encoded import Element, walk
from gateway.dicom.identifying import Kind
from gateway.dicom.instance import Instance
from gateway.dicom.tag import show
from gateway.profile import Program
from gateway.verify.originals import Originals
from gateway.verify.output_reader import Output
from gateway.verify.program_rules import Rules
from gateway.verify.recollection import Recollection
from gateway.verify.scan import Hit

__all__ = ["Clocks", "is_coarse"]

#: One end of a range: a time, and a date with one.
_HOUR: Final = rb"(?:[0-9]{2}|0{4,6}(?:\.0*)?)"
_DAY_AND_HOUR: Final = rb"[0-9]{4}(?:[0-9]{2}){0,3}(?:0{4}(?:\.0*)?)?(?:[+-][0-9]{4})?"
_DAY: Final = rb"[0-9]{4}(?:[0-9]{2}){0,2}(?:0{6}(?:\.0*)?)?"


def _ranges(end: bytes) -> re.Pattern[bytes]:
    return re.compile(rb" *(?:" + end + rb")?(?:-(?:" + end + rb")?)?[ \0]*")


#: What is left, by ``Program.times`` and VR. Midnight is what a dummy says.
_COARSE: Final = {
    ("hour", b"TM"): _ranges(_HOUR),
    ("hour", b"DT"): _ranges(_DAY_AND_HOUR),
    ("remove", b"TM"): _ranges(rb"0{2,6}(?:\.0*)?"),
    ("remove", b"DT"): _ranges(_DAY),
}
_TAGS: Final = frozenset(tag for tag, vr in VR_OF.items() if vr in (b"TM", b"DT"))
_TEXTS: Final = frozenset((b"AE", b"CS", b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UN", b"UR", b"UT"))
#: A longer value of VR UN is no text.
_LONGEST: Final = 1 << 16
_CLOCK: Final = re.compile(
    rb"(?<![0-9])([0-9]{1,2})(?:([:hH.])([0-9]{2})(?:[:.][0-9]{2}(?:[.,][0-9]+)?)?|([0-9]{2}))(?![0-9])"
    rb"(?: ?([aApP])\.? ?[mM]\b| ?((?:h|hs|hrs|hours?|horas?|heures?|uhr|ore|uur)\b))?",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile(rb"(?<![0-9A-Za-z.])(?:[0-9]{8}[T_ -]?)?([0-9]{6})(?:\.[0-9]+)?(?![0-9A-Za-z])")
#: The clock of a DT stands behind its eight digits; a TM is one from its beginning.
_MOMENT: Final = re.compile(rb"(?:[0-9]{8})([0-9]{4,6})")
_TIME: Final = re.compile(rb"([0-9]{2}):?([0-9]{2}):?([0-9]{2})?")


def is_coarse(times: str, vr: bytes, raw: bytes) -> bool:
    """Whether an encoded TM or DT tells no more than ``times`` allows.

    Parameters
    ----------
    times
        ``hour`` or ``remove``
    vr
        ``TM`` or ``DT``
    raw
        the encoded value
    """
    pattern = _COARSE[times, vr]
    return all(pattern.fullmatch(one) for one in raw.split(b"\\"))


class Clocks:
    """Looks for the times of an original in the texts of its output.

    Parameters
    ----------
    program
        its times are not ``keep``
    """

    def __init__(self, program: Program) -> None:
        self._times = program.times
        self._rules = Rules(program)
        self._paths = [rule for rule in program.paths if rule.tag in _TAGS]
        self._originals = Originals()
        self._parts = Recollection[frozenset[str]]()

    def hits(self, instance: Instance, output: Output) -> list[Hit]:
        """Where ``output`` tells a time of ``instance`` that had to become coarse."""
        original = self._originals.of(instance, _TAGS)
        wanted: set[str] = set()
        kept: set[str] = set()
        for tag, values in original.items():
            (kept if self._keeps(tag) else wanted).update(
                clock for raw in values for clock in _clocks_of(tag, raw) if not self._is_left(clock)
            )
        wanted -= kept
        if not wanted or wanted.isdisjoint(self._written(output)):
            return []
        return list(self._hits(output.buffer, output.elements, "", wanted))

    def _hits(self, buffer: bytes, elements: list[Element], where: str, wanted: set[str]) -> Iterator[Hit]:
        exact = self._rules.exact(buffer, elements)
        for element in elements:
            tag, items = element[0], element[5]
            for number, item in enumerate(items or ()):
                yield from self._hits(buffer, item[4], f"{where}{show(tag)}[{number}]/", wanted)
            if tag not in exact and not wanted.isdisjoint(_written(buffer, element)):
                yield Hit(f"{where}{show(tag)}", Kind.TIME)

    def _is_left(self, clock: str) -> bool:
        """Whether a time tells no more than what is left of it, or than a dummy."""
        return not clock.strip("0") or (self._times == "hour" and not clock[2:].strip("0"))

    def _keeps(self, tag: int) -> bool:
        """Whether a rule keeps the attribute as it is, at the top level or at some place."""
        return self._rules.keeps_time((), tag) or any(
            rule.tag == tag and self._rules.is_exact(rule.action) for rule in self._paths
        )

    def _written(self, output: Output) -> set[str]:
        """The times in the texts of an output; those of parts that were read before are remembered."""
        known = self._parts.of(None)
        times: set[str] = set()
        for raw, elements in output.parts:
            clocks = known.get(raw) if raw else None
            if clocks is None:
                clocks = frozenset(clock for _, one in walk(elements) for clock in _written(output.buffer, one))
                if raw:
                    self._parts.keep(None, raw, clocks)
            times |= clocks
        return times


def _clocks_of(tag: int, raw: bytes) -> Iterator[str]:
    """The times of an original value: ``1435``, and ``143522`` where it has seconds."""
    matches = _MOMENT.finditer(raw) if VR_OF[tag] == b"DT" else _TIME.finditer(raw)
    for match in matches:
        clock = b"".join(part for part in match.groups() if part).decode("ascii")
        yield clock[:4]
        if len(clock) == len("HHMMSS"):
            yield clock


def _written(buffer: bytes, element: Element) -> Iterator[str]:
    """The times that the text of an element tells."""
    _tag, vr, _start, value, end, items = element
    if items is not None or vr not in _TEXTS or end - value > _LONGEST:
        return
    raw = buffer[value:end]
    for digits in _DIGITS.findall(raw):
        yield digits.decode("ascii")
    for hour, sign, minute, joined, half, unit in _CLOCK.findall(raw):
        number = int(hour)
        if (sign in (b".", b"") and not half and not unit) or number > 23:
            continue
        if half:
            number = number % 12 + (12 if half in b"pP" else 0)
        yield f"{number:02d}{(minute or joined).decode('ascii')}"
