"""Of patients at or above the top of the age no date of birth is left (45 CFR 164.514(b)(2)(i)(C))."""

from __future__ import annotations

from typing import Final

from gateway.dicom.encoded import find
from gateway.dicom.instance import Instance
from gateway.dicom.tag import show
from gateway.errors import LeakSuspected
from gateway.verify.output_reader import Output

__all__ = ["check_birth_date"]

_BIRTH_DATE: Final = 0x00100030
_AGE: Final = 0x00101010
_STUDY_DATE: Final = 0x00080020


def check_birth_date(limit: int, instance: Instance, output: Output) -> None:
    """Assert that ``output`` has no Patient's Birth Date if the patient is ``limit`` years old.

    Parameters
    ----------
    limit
        the age, by ``gateway.profile.elders.age_limit``
    instance
        the original, whose Patient's Age and Study Date tell how old the patient is
    output
        what was made of it

    Raises
    ------
    LeakSuspected
        a date of birth is left
    """
    element = find(output.elements, _BIRTH_DATE)
    if element is None or not bytes(output.buffer[element[3] : element[4]]).strip(b"\0 "):
        return
    born, studied, age = (
        "".join(letter for letter in instance.text(tag) if letter.isdecimal())
        for tag in (_BIRTH_DATE, _STUDY_DATE, _AGE)
    )
    in_years = instance.text(_AGE).strip().upper().endswith("Y") and age and int(age[:9]) >= limit
    by_dates = len(born) == len(studied) == 8 and (int(studied) - int(born)) // 10_000 >= limit
    if in_years or by_dates:
        raise LeakSuspected(where=show(_BIRTH_DATE), reason=f"a date of birth of a patient of {limit} years or more")
