"""Which rows of which tables are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: Table, workload, subject and conditions of a row.
Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Rows that are asked for and not known yet.

    Attributes
    ----------
    words: parts of titles of tables, or ``TABLE/ROW`` with a part of a row's workload, subject and conditions;
        everything without words. Upper and lower case are alike.
    known: rows that have been measured before
    """

    words: Sequence[str] = ()
    known: frozenset[Key] = field(default_factory=frozenset)

    def has_table(self, title: str) -> bool:
        """Whether anything of a table is asked for."""
        return not self.words or any(_parts(word)[0] in title.lower() for word in self.words)

    def has_row(self, key: Key) -> bool:
        """Whether a row is asked for, and not known."""
        table, *row = key
        return key not in self.known and (
            not self.words
            or any(
                title in table.lower() and part in "{} {}, {}".format(*row).lower()
                for title, part in map(_parts, self.words)
            )
        )


def _parts(word: str) -> tuple[str, str]:
    table, _, row = word.lower().partition("/")
    return table.strip(), row.strip()
