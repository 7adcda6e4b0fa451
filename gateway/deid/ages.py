"""Ages in content items: treated as Patient's Age (0010,1010) is, whatever concept and unit tell them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from gateway.deid.coded import code_of, text_of
from gateway.dicom import coded_concepts, encode
from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Buffer, Element, Item, find
from gateway.profile import Action, Bins, Program, Verb
from gateway.profile.elders import OLDEST, PATIENT_AGE

__all__ = ["AGE_GOES", "treat_age"]

_CONCEPT_NAME: Final = 0x0040A043
_CODE_VALUE, _DESIGNATOR, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
_MEASURED_VALUE: Final = 0x0040A300
_NUMERIC_VALUE: Final = 0x0040A30A
#: Floating Point Value, Rational Numerator and Denominator Value: the number once more.
_OTHER_FORMS: Final = (0x0040A161, 0x0040A162, 0x0040A163)
_UNITS: Final = 0x004008EA
#: How old a person is: Subject Age (PS3.16 TID 1007), Age and Current chronological age of SNOMED CT, and of LOINC
#: age, calculated, estimated, as reported and current.
_AGES: Final = frozenset(
    (
        ("DCM", "121033"), ("SCT", "397669002"), ("SCT", "424144002"), ("LN", "30525-0"), ("LN", "29553-5"),
        ("LN", "21611-9"), ("LN", "21612-7"), ("LN", "63900-5"),
    )
)  # fmt: skip
#: What concepts of a site's own are called that tell a patient's age, and nothing else.
_NAMES: Final = frozenset(
    (
        "age", "patient age", "patient's age", "subject age", "age of patient", "edad", "edad del paciente", "edat",
        "edat del pacient", "idade", "idade do paciente", "âge", "age du patient", "âge du patient", "alter",
        "patientenalter", "alter des patienten", "età", "età del paziente", "leeftijd", "leeftijd patiënt",
    )
)  # fmt: skip
#: UCUM units of time: how many make a year. What is longer than a life in shorter ones is no age.
_PER_YEAR: Final = {
    "a": Decimal(1), "a_j": Decimal(1), "a_g": Decimal(1), "a_t": Decimal(1), "mo": Decimal(12), "mo_j": Decimal(12),
    "wk": Decimal("52.1786"), "d": Decimal("365.25"), "h": Decimal(8766), "min": Decimal(525960),
}  # fmt: skip
#: An age without a unit is taken for years.
_NO_UNIT: Final = frozenset(("", "1"))
_LONG: Final = frozenset(("a", "a_j", "a_g", "a_t", "mo", "mo_j", "wk"))

#: Stands for an age that goes with its item.
AGE_GOES: Final[dict[int, bytes]] = {}


def treat_age(
    program: Program, buffer: Buffer, item: Item, sets: CharacterSets, *, value_type: str
) -> dict[int, bytes] | None:
    """What becomes of a number that is an age.

    Where Patient's Age stays, so does the age of a content item; where it is made coarser, so is that, in years; where
    it goes, that goes. A time of years, months or weeks under any other concept is topped: it may be an age.

    Parameters
    ----------
    program
        specialised
    buffer, item
        the content item
    sets
        the character sets of the item
    value_type
        ``NUM``, with a Measured Value Sequence, or ``NUMERIC``, whose value the item itself has

    Returns
    -------
    Encoded elements that take the place of the item's; ``AGE_GOES`` where the item goes; None where it is no age or
    may stay.
    """
    action = _action(program)
    if value_type not in ("NUM", "NUMERIC") or action.verb is Verb.KEEP:
        return None
    elements = item[4]
    values = elements
    if value_type == "NUM":
        measured = find(elements, _MEASURED_VALUE)
        if measured is None or not measured[5]:
            return None
        values = measured[5][0][4]
    years, unit = _years(buffer, values, sets)
    bins = action.options if isinstance(action.options, Bins) else None
    if _is_age(buffer, elements, sets):
        if bins is None or years is None or (unit not in _PER_YEAR and unit not in _NO_UNIT):
            return AGE_GOES
        whole = int(years) if bins.top is None else min(int(years), bins.top)
        coarser = whole if whole == bins.top else whole - whole % bins.years
        if coarser == years and unit == "a" and not any(find(values, tag) for tag in _OTHER_FORMS):
            return None
        return _encoded(coarser, item, value_type=value_type)
    limit = OLDEST if bins is None else bins.top
    if limit is None or years is None or unit not in _LONG or years < limit:
        return None
    return _encoded(limit, item, value_type=value_type)


def _action(program: Program) -> Action:
    own = next((rule.action for rule in program.paths if not rule.path and rule.tag == PATIENT_AGE), None)
    return own or program.action(PATIENT_AGE)


def _is_age(buffer: Buffer, elements: list[Element], sets: CharacterSets) -> bool:
    concept = find(elements, _CONCEPT_NAME)
    if concept is None or not concept[5]:
        return False
    inside = concept[5][0][4]
    if coded_concepts.current(*code_of(buffer, inside, sets)) in _AGES:
        return True
    return text_of(buffer, inside, _CODE_MEANING, sets).casefold() in _NAMES


def _years(buffer: Buffer, elements: list[Element], sets: CharacterSets) -> tuple[Decimal | None, str]:
    """The number in years, and its unit; None where there is no number or the unit is none of time."""
    units = find(elements, _UNITS)
    unit = code_of(buffer, units[5][0][4], sets)[1] if units is not None and units[5] else ""
    per_year = _PER_YEAR["a"] if unit in _NO_UNIT else _PER_YEAR.get(unit)
    try:
        number = Decimal(text_of(buffer, elements, _NUMERIC_VALUE, sets))
    except InvalidOperation:
        return None, unit
    if per_year is None or not number.is_finite() or not 0 <= number.adjusted() + 20 <= 40:
        return None, unit
    return max(number, Decimal(0)) / per_year, unit


def _encoded(years: int, item: Item, *, value_type: str) -> dict[int, bytes]:
    implicit = item[3]
    unit = b"".join(
        encode.element(tag, vr, text, implicit=implicit)
        for tag, vr, text in (
            (_CODE_VALUE, b"SH", b"a"),
            (_DESIGNATOR, b"SH", b"UCUM"),
            (_CODE_MEANING, b"LO", b"year"),
        )
    )
    units = encode.sequence(_UNITS, [unit], implicit=implicit)
    number = encode.element(_NUMERIC_VALUE, b"DS", str(years).encode(), implicit=implicit)
    if value_type == "NUM":
        return {_MEASURED_VALUE: encode.sequence(_MEASURED_VALUE, [units + number], implicit=implicit)}
    others = {tag: b"" for tag in _OTHER_FORMS if find(item[4], tag) is not None}
    return {_UNITS: units, _NUMERIC_VALUE: number, **others}
