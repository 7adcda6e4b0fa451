"""Attributes that a person can type into and that PS3.15 Table E.1-1 does not list: what kind each is, and why.

The rows come from ``data/unlisted.csv``, which ``scripts/generate-unlisted`` keeps complete, and ``data/
unlisted-groups.csv``. The layer ``profiles/unlisted-attributes.yaml`` is generated from them by
``scripts/generate-profiles``.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Final, Literal, NamedTuple

from gateway.profile.verb import Verb

__all__ = ["VRS", "Group", "groups", "rows"]

#: VRs of text. Of numbers and dates the form can be checked, UIDs are computed anew.
VRS: Final = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
#: ``technical``: stays as far as it is technical; ``text``: cleaned; ``identifier``: goes, as its listed twins do;
#: ``code``: has no rule, because something other than a rule for the attribute looks at it.
#: ``encoding``: how the rest is to be read.
Kind = Literal["technical", "text", "identifier", "code", "encoding"]


class Group(NamedTuple):
    """Attributes that are treated alike, for one reason.

    Attributes
    ----------
    kind
        what they hold
    verb
        what the layer does to them
    because
        the reason
    """

    kind: Kind
    verb: Verb
    because: str


def _lines(name: str) -> list[dict[str, str]]:
    text = (files("gateway.profile") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def groups() -> dict[str, Group]:
    """Name -> group."""
    return {
        row["group"]: Group(row["kind"], Verb(row["verb"]), row["because"])  # type: ignore[arg-type]
        for row in _lines("unlisted-groups.csv")
    }


@cache
def rows() -> dict[int, str]:
    """Tag -> name of its group, for every attribute of the data dictionary that the table does not list."""
    return {int(row["tag"], 16): row["group"] for row in _lines("unlisted.csv")}
