"""Look-up tables of CTP: ``type/key=value`` in a properties file, or the same in two columns."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from typing import Final

from gateway.errors import ProfileError
from gateway.profile.importers.ctp.properties import read_properties

_MOST_INDIRECTIONS: Final = 10


def read_lookup(text: str, *, file: str) -> dict[str, dict[str, str]]:
    """Read a look-up table.

    Parameters
    ----------
    text
        its content; a properties file, or comma-separated if ``file`` ends in ``.csv``
    file
        its name, for errors, which never show what the table holds

    Returns
    -------
    Type of key -> key -> value, references to other entries (``@type/key``) followed.

    Raises
    ------
    ProfileError
        a line is no entry, two entries contradict each other, or a reference leads nowhere or in a circle
    """
    entries: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, written, value in _entries(text, file):
        place = f"{file}:{line}"
        if "/" not in written:
            raise ProfileError(place=place, problem='the key is not of the form "type/key"')
        kind, _, name = written.partition("/")
        key = f"{kind.strip()}/{name.strip()}"
        if entries.setdefault(key, value.strip()) != value.strip():
            raise ProfileError(place=place, problem=f"the key stands in line {lines[key]} with another value")
        lines.setdefault(key, line)
    table: dict[str, dict[str, str]] = {}
    for key in entries:
        kind, _, name = key.partition("/")
        table.setdefault(kind, {})[name] = _followed(entries, key, f"{file}:{lines[key]}")
    return table


def table_csv(rows: Mapping[str, str], column: str) -> str:
    """A look-up table of the gateway: the columns ``column`` and ``pseudonym``."""
    output = StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow((column, "pseudonym"))
    writer.writerows(rows.items())
    return output.getvalue()


def _entries(text: str, file: str) -> list[tuple[int, str, str]]:
    if not file.lower().endswith(".csv"):
        return [(entry.line, entry.key, entry.value) for entry in read_properties(text, file=file)]
    reader = csv.reader(StringIO(text, newline=""))
    entries: list[tuple[int, str, str]] = []
    for record in reader:
        if not any(cell.strip() for cell in record):
            continue
        if len(record) != 2:
            raise ProfileError(place=f"{file}:{reader.line_num}", problem="a row has two cells: type/key and value")
        entries.append((reader.line_num, record[0], record[1]))
    return entries


def _followed(entries: Mapping[str, str], key: str, place: str) -> str:
    value = entries[key]
    for _ in range(_MOST_INDIRECTIONS):
        if not (value.startswith("@") and "/" in value):
            return value
        kind, _, name = value[1:].partition("/")
        target = f"{kind.strip()}/{name.strip()}"
        if target not in entries:
            raise ProfileError(place=place, problem="the entry refers to one that does not exist")
        value = entries[target]
    raise ProfileError(place=place, problem=f"the entry refers to another more than {_MOST_INDIRECTIONS} times")
