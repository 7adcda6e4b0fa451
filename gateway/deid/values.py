"""Values as text: read in their character set, rewritten one by one, written as their VR demands (PS3.5 6.2)."""

from __future__ import annotations

import re
from struct import error as struct_error
from struct import pack
from typing import Final

from pydicom import config as pydicom_config
from pydicom.valuerep import validate_value

from gateway.deid.generalise import generalise
from gateway.deid.number_source import NumberSource
from gateway.deid.project_key import ProjectKey
from gateway.dicom.charset import CharacterSets
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Buffer, Element
from gateway.dicom.instance import decode_element
from gateway.dicom.tag import show
from gateway.dicom.text import encode_part, encode_text
from gateway.dicom.vr import VALUE_REPRESENTATIONS
from gateway.errors import PseudonymMissing, RuleFailed
from gateway.profile import Action, Bins, Mapping_, Prefix, Pseudonym, Rounding, Substitution
from gateway.profile.pseudonym import keyed, sequential

__all__ = ["Gone", "Unsure", "ValueRules", "encode_value", "read_values", "written_vr"]

_PACK: Final = {
    b"US": "<H", b"SS": "<h", b"UL": "<I", b"SL": "<i", b"UV": "<Q", b"SV": "<q", b"FL": "<f", b"FD": "<d",
}  # fmt: skip
_REAL: Final = frozenset((b"FD", b"FL"))
#: VRs whose values have a form, not only a length.
_FORMED: Final = frozenset((b"AS", b"DA", b"DS", b"DT", b"IS", b"TM", b"UI"))
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_CONTROL_OR_LINE: Final = re.compile(r"[\x00-\x1f\x7f]")
#: VRs whose text may have lines (PS3.5 6.1.3).
_LINES: Final = frozenset((b"LT", b"ST", b"UT"))
#: A pattern is tried on no longer value: some patterns take time that grows with a power of the length (promise P7).
_LONGEST_SEARCHED: Final = 10_240


class Unsure(Exception):
    """The value is none that its rule can work on; the profile says what is done then."""


class Gone(Exception):
    """The rule does not know the value, and says that the element goes."""


def read_values(buffer: Buffer, element: Element, vr: bytes, sets: CharacterSets) -> tuple[list[str], bool]:
    """The values of an element as text without padding, and whether they are certain.

    Parameters
    ----------
    buffer, element
        the element as received; not a sequence
    vr
        the VR to read it as
    sets
        the character sets that govern it

    Raises
    ------
    RuleFailed
        values of this VR have no text
    """
    facts = VALUE_REPRESENTATIONS[vr]
    if not facts.text and vr not in _PACK and vr != b"AT":
        raise RuleFailed(where=show(element[0]), reason=f"a value of VR {vr.decode()} has no text")
    tag, _vr, start, value, end, items = element
    text, exact = decode_element(buffer, (tag, vr, start, value, end, items), sets)
    values = text.split("\\") if facts.several else [text]
    return [one.strip("\0 ") if facts.several else one.rstrip("\0 ") for one in values], exact


def encode_value(tag: int, vr: bytes, text: str, sets: CharacterSets, *, part_of: bytes = b"") -> bytes:
    """The encoded value, without padding.

    Parameters
    ----------
    tag
        the element, for errors
    vr
        the VR to write; text is checked against its length and form
    text
        all values, separated by backslashes where the VR may have several
    sets
        the character sets of the data set or item that will hold it
    part_of
        the received value that the text was taken out of, whose encoding it keeps; empty for a text of its own

    Raises
    ------
    RuleFailed
        the VR or the character sets cannot hold it
    """
    if not text:
        return b""
    facts = VALUE_REPRESENTATIONS[vr]
    if not facts.text and vr not in _PACK:
        raise RuleFailed(where=show(tag), reason=f"a profile cannot write VR {vr.decode()}")
    try:
        if vr in _PACK:
            return b"".join(_number(vr, one) for one in text.split("\\"))
        for one in text.split("\\") if facts.several else [text]:
            _check(vr, facts.longest, one)
        return encode_part(text, vr, sets, part_of) if part_of else encode_text(text, vr, sets)
    except ValueError as failed:
        raise RuleFailed(where=show(tag), reason=f"its new value does not fit VR {vr.decode()}: {failed}") from None


def _number(vr: bytes, text: str) -> bytes:
    try:
        return pack(_PACK[vr], float(text) if vr in _REAL else int(text))
    except (struct_error, OverflowError, ValueError):
        raise ValueError("it is no number in its range") from None


def _check(vr: bytes, longest: int | None, text: str) -> None:
    if (_CONTROL if vr in _LINES else _CONTROL_OR_LINE).search(text):
        raise ValueError("it holds control characters")
    parts = text.split("=") if vr == b"PN" else [text]
    if longest is not None and any(len(part) > longest for part in parts):
        raise ValueError(f"it is longer than {longest} characters")
    if vr in _FORMED and text:
        try:
            validate_value(vr.decode(), text, pydicom_config.RAISE)
        except ValueError:
            raise ValueError("it has not the form of one") from None


class ValueRules:
    """Carries out the actions that make a new value of an old one.

    Parameters
    ----------
    key
        the project's key
    numbers
        where sequential pseudonyms come from; None where there is no such place
    """

    def __init__(self, key: ProjectKey, numbers: NumberSource | None) -> None:
        self._key = key
        self._numbers = numbers

    def rewrite(self, action: Action, name: str, values: list[str], *, exact: bool) -> list[str]:
        """The new values of an element; empty values stay empty.

        Parameters
        ----------
        action
            its options say what is done
        name
            the element, the same on every node, whatever block a private one has
        values
            the old values without padding
        exact
            whether their text is certain

        Raises
        ------
        Unsure
            a value is none that the rule can work on
        Gone
            the rule does not know a value, and says that the element goes
        PseudonymMissing
            a table lacks a row, and the rule holds such instances
        RuleFailed
            a value cannot be rewritten, and the rule holds such instances
        """
        return [one and self._rewrite(action, name, one, exact=exact) for one in values]

    def _rewrite(self, action: Action, name: str, value: str, *, exact: bool) -> str:
        match action.options:
            case Pseudonym() as options:
                return self._pseudonym(options, name, value)
            case Mapping_() as options:
                mapped = options.find(value)
                return mapped if mapped is not None else _otherwise(options.otherwise, name, value)
            case Substitution() as options:
                return _substituted(options, name, value, exact=exact)
            case Bins() | Rounding() | Prefix() as options:
                if isinstance(options, Prefix) and not exact:
                    raise RuleFailed(where=name, reason="its text does not fit its character set")
                coarser = generalise(options, value)
                if coarser is None:
                    raise Unsure
                return coarser
        raise RuleFailed(where=name, reason=f"the action {action.verb.value} lacks its options")

    def _pseudonym(self, options: Pseudonym, name: str, value: str) -> str:
        match options.kind:
            case "keyed":
                return keyed(options.format, self._key.digest("pseudonym", name, value))
            case "sequential":
                if self._numbers is None:
                    raise RuleFailed(where=name, reason="there is no ledger to get a number from")
                number = self._numbers.number(name, self._key.token("pseudonym", name, value))
                return sequential(options.format, number)
        pseudonym = None if options.table is None else options.table.find(value)
        if pseudonym is not None:
            return pseudonym
        if options.missing == "hold":
            table = "?" if options.table is None else options.table.name
            raise PseudonymMissing(
                table=table, what=f"the value of {name}", token=self._key.token("pseudonym", name, value)
            )
        return _otherwise(options.missing, name, value)


def _substituted(options: Substitution, name: str, value: str, *, exact: bool) -> str:
    if not exact:
        raise RuleFailed(where=name, reason="its text does not fit its character set")
    if len(value) > _LONGEST_SEARCHED:
        raise RuleFailed(where=name, reason=f"it is longer than the {_LONGEST_SEARCHED} characters that are searched")
    text, count = options.expression.substitute(options.template, value)
    if "\\" in text and "\\" not in value:
        raise RuleFailed(where=name, reason="the replacement would make several values of one")
    return text if count else _otherwise(options.otherwise, name, value)


def _otherwise(choice: str, name: str, value: str) -> str:
    match choice:
        case "keep":
            return value
        case "empty":
            return ""
        case "remove":
            raise Gone
    raise RuleFailed(where=name, reason="the rule does not know its value")


def written_vr(tag: int, received: bytes, *, is_sequence: bool) -> bytes:
    """The VR under which an element is rewritten: the dictionary's, where that can be right (PS3.5 6.2.2)."""
    known = vr_of(tag)
    return received if known == b"UN" or (known != b"SQ" and is_sequence) else known
