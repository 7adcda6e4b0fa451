"""What looks at elements that stay: nothing stays under the name of a number, a date or a term that is none.

A rule that keeps an attribute keeps what its VR says (``gateway.deid.forms``), and with ``only: technical`` what is
technical (``gateway.deid.technical``). What was looked at once is remembered by its bytes, because the instances of a
series repeat most of their elements.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.deid import icc
from gateway.deid.forms import Form, form_of
from gateway.deid.technical import is_technical
from gateway.deid.values import encode_value
from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Buffer, Element, Make
from gateway.dicom.instance import Instance, decode_element
from gateway.dicom.vr import VALUE_REPRESENTATIONS
from gateway.profile import Action, Program, Technical, Verb
from gateway.remembering import BoundedMapping

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Guard", "Guards", "guard_of"]

#: A longer value is hardly met twice.
_LONGEST_REMEMBERED: Final = 128
_MOST_REMEMBERED: Final = 1024
_MOST_PARTS: Final = 256
_CS: Final = re.compile(r"[A-Z0-9_ ]*")
#: Group of the attributes of the patient.
_PATIENT: Final = 0x0010
#: A term of a maker may be longer than the 16 characters of PS3.5 6.2; a text of a person is soon longer.
_LONGEST_TERM: Final = 32


class Guard(NamedTuple):
    """What an element that stays has to be.

    Attributes
    ----------
    form
        what its VR says; None if nothing is known of it
    technical
        whether its values have to be technical
    """

    form: Form | None
    technical: bool


def guard_of(tag: int, action: Action) -> Guard | None:
    """What an element of the standard has to be under ``action``; None if the action is not about keeping it."""
    if action.verb is not Verb.KEEP:
        return None
    form, technical = form_of(tag), isinstance(action.options, Technical)
    return None if form is None else Guard(form, technical)


class Guards:
    """The guards of a program.

    Parameters
    ----------
    program
        its conditions decided; words of its vocabulary are technical
    action
        sequences around an element and its tag -> its action
    """

    def __init__(self, program: Program, action: Callable[[tuple[int, ...], int], Action]) -> None:
        self._vocabulary = program.vocabulary
        self._action = action
        self._places = frozenset(rule.tag for rule in program.paths)
        self._known: BoundedMapping[int, Guard | None] = BoundedMapping(_MOST_REMEMBERED)
        #: Elements that were looked at: not private ones, whose numbers say nothing, nor what rules treat by its place.
        self._fit: BoundedMapping[tuple[int, bytes, bytes], None] = BoundedMapping(_MOST_REMEMBERED)
        #: Runs of the top level that were looked at.
        self._parts: BoundedMapping[bytes, None] = BoundedMapping(_MOST_PARTS)
        #: Make of data sets -> numbers and guards of the elements between their runs.
        self._between: BoundedMapping[Make, tuple[tuple[int, Guard], ...]] = BoundedMapping(_MOST_PARTS)

    def at(self, path: tuple[int, ...], tag: int) -> Guard | None:
        """The guard of an element of the standard that stays."""
        if tag in self._places:
            return guard_of(tag, self._action(path, tag))
        if tag not in self._known:
            return self._known.keep(tag, guard_of(tag, self._action(path, tag)))
        return self._known[tag]

    def fits(self, guard: Guard, buffer: Buffer, element: Element, sets: Callable[[], CharacterSets]) -> bool:
        """Whether an element may stay.

        Parameters
        ----------
        guard
            its guard
        buffer, element
            the element as received
        sets
            tells the character sets that hold where it stands
        """
        tag, vr, _start, value, end, items = element
        short = items is None and end - value <= _LONGEST_REMEMBERED
        key = (tag, vr, bytes(buffer[value:end])) if short else None
        if value == end or key in self._fit:
            return True
        if not self.has_form(guard, buffer, element):
            return False
        if tag == icc.ICC_PROFILE and icc.cleaned(raw := bytes(buffer[value:end])) != raw:
            return False
        if guard.technical and self.technical(guard, buffer, element, sets()) is not None:
            return False
        # What text in another character set says is another thing elsewhere.
        own = tag in self._places or tag & 0x00010000
        if key is not None and not own and (not guard.technical or key[2].isascii()):
            self._fit[key] = None
        return True

    def has_form(self, guard: Guard, buffer: Buffer, element: Element) -> bool:
        """Whether the element is what its VR says. Of terms the form follows from their being technical."""
        form = guard.form
        if form is None:
            return True
        if guard.technical and form.vr == b"CS":
            return element[5] is None and (element[1] == b"UN" or element[1] in form.vrs)
        return form.fits(buffer, element)

    def technical(self, guard: Guard, buffer: Buffer, element: Element, sets: CharacterSets) -> list[str] | None:
        """The values of an element with those emptied that are not technical; None if it may stay as it is.

        Of VR CS, capital letters are what PS3.5 6.2 allows: a term in small letters is written in capital ones.
        """
        form = guard.form
        vr = form.vr if form is not None else element[1]
        tag, received, start, value, end, items = element
        as_text = vr if received == b"UN" or not VALUE_REPRESENTATIONS[received].text else received
        text, exact = decode_element(buffer, (tag, as_text, start, value, end, items), sets)
        several = VALUE_REPRESENTATIONS[vr].several
        values = [one.strip("\0 ") for one in text.split("\\")] if several else [text.rstrip("\0 ")]
        left = [self._term(tag, one, vr) if exact else "" for one in values]
        return None if left == values else left

    def rest(self, guard: Guard, buffer: Buffer, element: Element, sets: CharacterSets) -> tuple[bytes, bytes] | None:
        """VR and value without what is not technical, empty if nothing is; None for what is not what its VR says."""
        form = guard.form
        if element[0] == icc.ICC_PROFILE and self.has_form(guard, buffer, element):
            profile = icc.cleaned(bytes(buffer[element[3] : element[4]]))
            return None if profile is None else (b"OB", profile)
        if not guard.technical or form is None or not self.has_form(guard, buffer, element):
            return None
        left = "\\".join(self.technical(guard, buffer, element, sets) or ())
        if not left.strip("\\"):
            return form.vr, b""
        # A term of a maker may be longer than its VR allows: it is written as it was.
        return form.vr, left.encode("ascii") if left.isascii() else encode_value(element[0], form.vr, left, sets)

    def _term(self, tag: int, value: str, vr: bytes) -> str:
        if not value or not is_technical(value, self._vocabulary, of_patient=tag >> 16 == _PATIENT):
            return ""
        if vr != b"CS":
            return value
        term = value.upper()
        return term if len(term) <= _LONGEST_TERM and _CS.fullmatch(term) else ""

    def all_fit(self, instance: Instance, sets: Callable[[], CharacterSets]) -> bool:
        """Whether all elements of the top level of ``instance`` that the rules keep may stay.

        Parameters
        ----------
        instance
            as received, of a known make
        sets
            tells the character sets that hold there
        """
        buffer, elements, fit = instance.buffer, instance.elements, self._fit
        if not all(map(self._parts.__contains__, instance.runs)) and not self._runs_fit(instance, sets):
            return False
        between = self._between.get(instance.make)
        if between is None:
            between = self._between.keep(instance.make, self._guards_between(instance))
        for number, guard in between:
            element = elements[number]
            if not guard.technical and element[0] != icc.ICC_PROFILE:
                # What changes from instance to instance is not worth remembering.
                if not self.has_form(guard, buffer, element):
                    return False
                continue
            tag, vr, _start, value, end, items = element
            # Only what is short is in there; pixel data is not to be read for it.
            short = items is None and end - value <= _LONGEST_REMEMBERED
            if not (short and (tag, vr, buffer[value:end]) in fit) and not self.fits(guard, buffer, element, sets):
                return False
        return True

    def _runs_fit(self, instance: Instance, sets: Callable[[], CharacterSets]) -> bool:
        """Whether all elements in runs may stay."""
        buffer = instance.buffer
        for raw, elements in instance.parts:
            if not raw or raw in self._parts:
                continue
            steady = True
            for element in elements:
                guard = self._guard(element[0])
                if guard is not None:
                    if not self.fits(guard, buffer, element, sets):
                        return False
                    # What text in another character set says is another thing elsewhere.
                    steady = steady and (not guard.technical or buffer[element[3] : element[4]].isascii())
            if steady:
                self._parts[raw] = None
        return True

    def _guards_between(self, instance: Instance) -> tuple[tuple[int, Guard], ...]:
        """The numbers of the elements between the runs that have a guard, which data sets of one make share."""
        guarded: list[tuple[int, Guard]] = []
        first = 0
        for raw, elements in instance.parts:
            if not raw:
                guards = ((number, self._guard(element[0])) for number, element in enumerate(elements, first))
                guarded += [(number, guard) for number, guard in guards if guard is not None]
            first += len(elements)
        return tuple(guarded)

    def _guard(self, tag: int) -> Guard | None:
        """As ``at``, at the top level; private elements are looked at elsewhere."""
        if tag & 0x00010000:
            return None
        return self._known[tag] if tag in self._known else self.at((), tag)
