"""Look-up tables: CSV files in which a site says what stands for what.

The first line names the columns: ``patient_id`` and ``pseudonym`` with an optional ``issuer`` for patients, ``value``
and ``pseudonym`` for the values of an element. Values are compared without the blanks around them. A table is read
when its profile is compiled; its digest is part of the profile's.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Final

#: Columns of a table of patients and of a table of values, the first of which holds what is looked up.
PATIENT_COLUMNS: Final = ("patient_id", "pseudonym")
VALUE_COLUMNS: Final = ("value", "pseudonym")
ISSUER: Final = "issuer"
MAXIMUM_BYTES: Final = 64 * 1024 * 1024
MAXIMUM_ROWS: Final = 1_000_000

# Valid in LO and PN without delimiters (\ ^ =), safe as the name of a directory.
_PATIENT = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-])?")


@dataclass(frozen=True, slots=True)
class LookupTable:
    """One table. Its text shows its name alone: the rows are identity.

    Attributes
    ----------
    path
        the file as it was found
    digest
        SHA-256 of the rows in lower-case hexadecimal; their order and layout do not change it
    rows
        (value, issuer) -> pseudonym; the issuer is empty where any is meant
    """

    path: Path
    digest: str
    rows: Mapping[tuple[str, str], str] = field(repr=False, hash=False)

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    def find(self, value: str, issuer: str = "") -> str | None:
        """The pseudonym for ``value``, or None if the table lacks it.

        Parameters
        ----------
        value
            Patient ID or the value of the element
        issuer
            Issuer of Patient ID; a row that names this issuer counts before one that names none
        """
        key, of = value.strip(), issuer.strip()
        pseudonym = self.rows.get((key, of))
        return pseudonym if pseudonym is not None or not of else self.rows.get((key, ""))


def load_table(path: Path, columns: tuple[str, str]) -> LookupTable:
    """Read a table.

    Parameters
    ----------
    path
        a CSV file in UTF-8
    columns
        ``PATIENT_COLUMNS`` or ``VALUE_COLUMNS``

    Raises
    ------
    ValueError
        the file cannot be read or is wrong; the text names the line and says what is wrong, without values
    """
    records = _records(path)
    header = [name.strip().lower() for name in records[0]] if records else []
    allowed = {*columns, ISSUER} if columns == PATIENT_COLUMNS else set(columns)
    if not set(columns) <= set(header) or set(header) - allowed or len(set(header)) != len(header):
        optional = f" and perhaps {ISSUER}" if ISSUER in allowed else ""
        raise ValueError(f"{path.name}, line 1: the columns are {' and '.join(columns)}{optional}")
    if len(records) - 1 > MAXIMUM_ROWS:
        raise ValueError(f"{path.name} has more than {MAXIMUM_ROWS} rows")
    rows: dict[tuple[str, str], str] = {}
    for number, record in enumerate(records[1:], start=2):
        if not any(cell.strip() for cell in record):
            continue
        if len(record) != len(header):
            raise ValueError(f"{path.name}, row {number}: {len(record)} cells instead of {len(header)}")
        cells = dict(zip(header, (cell.strip() for cell in record), strict=True))
        key, pseudonym = (cells[columns[0]], cells.get(ISSUER, "")), cells["pseudonym"]
        if not key[0] or not pseudonym:
            raise ValueError(f"{path.name}, row {number}: {columns[0]} and pseudonym have a value in every row")
        if "\\" in pseudonym or any(character < " " for character in pseudonym):
            raise ValueError(f"{path.name}, row {number}: a pseudonym holds no backslash and no control characters")
        if columns == PATIENT_COLUMNS and not _PATIENT.fullmatch(pseudonym):
            problem = (
                "the pseudonym of a patient has at most 64 characters: letters of ASCII, digits, space, dot, _ and -"
            )
            raise ValueError(f"{path.name}, row {number}: {problem}")
        if rows.setdefault(key, pseudonym) != pseudonym:
            raise ValueError(f"{path.name}, row {number}: {columns[0]} stands in the table before, otherwise")
    return LookupTable(path, _digest(rows), rows)


def _records(path: Path) -> list[list[str]]:
    reader = csv.reader(StringIO(_text(path), newline=""), strict=True)
    try:
        return list(reader)
    except csv.Error:
        raise ValueError(f"{path.name}, line {reader.line_num}: the table is no CSV here") from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except OSError as failed:
        raise ValueError(f"the table {path.name} cannot be read: {failed.strerror}") from None
    if len(content) > MAXIMUM_BYTES:
        raise ValueError(f"the table {path.name} is longer than {MAXIMUM_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as failed:
        line = content[: failed.start].count(b"\n") + 1
        raise ValueError(f"{path.name}, line {line}: the table is not UTF-8 text here") from None


def _digest(rows: Mapping[tuple[str, str], str]) -> str:
    content = sha256()
    for (value, issuer), pseudonym in sorted(rows.items()):
        for part in (value, issuer, pseudonym):
            data = part.encode()
            content.update(len(data).to_bytes(4, "big") + data)
    return content.hexdigest()
