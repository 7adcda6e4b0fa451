"""What an action needs beside its verb: one frozen class per verb.

The engine carries them out; here they are facts. Text of a class never shows the rows of a look-up table, which hold
identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from gateway.profile.expression import Expression, Template
from gateway.profile.lookup import LookupTable

#: What happens to a value that a rule does not cover.
Otherwise: TypeAlias = Literal["hold", "remove", "empty", "keep"]
Missing: TypeAlias = Literal["hold", "remove", "empty"]


@dataclass(frozen=True, slots=True)
class Truncation:
    """``truncate-date``: the precision that is left.

    Attributes
    ----------
    to
        ``year`` (20260000 is no date: the engine writes the first of January) or ``month``
    """

    to: Literal["year", "month"]


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """``keep`` and ``shift-date`` where the profile makes times of day coarser.

    Attributes
    ----------
    to
        ``hour``, or ``remove``: only the date is left
    """

    to: Literal["hour", "remove"]


@dataclass(frozen=True, slots=True)
class Unnamed:
    """``keep`` without the words that hold a name of the header's persons or institutions."""


@dataclass(frozen=True, slots=True)
class RetainedUid:
    """``keep`` of the UID of an instance or the like, which every such rule means: what is no UID is replaced.

    Attributes
    ----------
    dates
        whether a UID that holds a date stays: the profile leaves dates as they are
    """

    dates: bool


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """``pseudonymise``: where the pseudonym of a value comes from.

    Attributes
    ----------
    kind
        ``keyed`` computed from the project's secret, the element and the value; ``table`` looked up; ``sequential``
        a number that the ledger gives, the same for the same element and value
    format
        form of a keyed or sequential pseudonym: ``gateway.profile.pseudonym``; empty for a table
    table
        the look-up table, for ``table``
    missing
        what happens to a value that the table lacks
    """

    kind: Literal["keyed", "table", "sequential"]
    format: str = ""
    table: LookupTable | None = None
    missing: Missing = "hold"


@dataclass(frozen=True, slots=True)
class Mapping_:  # noqa: N801 - Mapping is the name of the abstract class
    """``map``: values by value, compared without the padding around them.

    Attributes
    ----------
    pairs
        (original, replacement), each original once
    otherwise
        what happens to other values
    """

    pairs: tuple[tuple[str, str], ...]
    otherwise: Otherwise = "hold"

    def find(self, value: str) -> str | None:
        """The replacement of ``value``, or None if the rule does not list it."""
        return next((replacement for original, replacement in self.pairs if original == value), None)


@dataclass(frozen=True, slots=True)
class Bins:
    """``generalise`` of an age (VR AS): the first year of its bin.

    Attributes
    ----------
    years
        width of a bin in years, at least 1
    top
        ages of this many years and more become this age; None for no limit
    """

    years: int
    top: int | None = None


@dataclass(frozen=True, slots=True)
class Rounding:
    """``generalise`` of a number: rounded to the nearest multiple of ``step``, which is above 0; halves go up."""

    step: Decimal


@dataclass(frozen=True, slots=True)
class Prefix:
    """``generalise`` of a text such as a postcode: the first ``characters`` characters stay."""

    characters: int


@dataclass(frozen=True, slots=True)
class Substitution:
    r"""``regex``: every match of ``pattern`` is replaced.

    Attributes
    ----------
    expression
        searched for in each value
    replacement
        what takes the place of a match; ``\1`` and ``\g<name>`` stand for groups
    otherwise
        what happens to a value in which nothing matches
    """

    expression: Expression
    replacement: str
    otherwise: Otherwise = "remove"
    template: Template = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "template", self.expression.template(self.replacement))


@dataclass(frozen=True, slots=True)
class Technical:
    """``keep`` with ``only: technical``: a value stays if it is made of technical words, codes and short numbers."""


@dataclass(frozen=True, slots=True)
class Numeric:
    """``keep`` with ``only: numeric`` of a private element: it stays if it is made of numbers as expected.

    Attributes
    ----------
    vrs
        the VRs that it may have, the one that it should have first
    vm
        how many values, as the standard writes it
    low, high
        the range of each value; None for no limit
    form
        regular expression for the whole text of what makers write as text; empty for none
    """

    vrs: tuple[str, ...]
    vm: str
    low: float | None = None
    high: float | None = None
    form: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """``copy``: the top-level element whose value, as received, is copied."""

    tag: int


@dataclass(frozen=True, slots=True)
class Believing:
    """``keep`` of ``safe-private`` with ``believe: sender``: what the instance itself calls safe stays, too."""


Options: TypeAlias = (
    Truncation
    | TimeOfDay
    | Unnamed
    | RetainedUid
    | Pseudonym
    | Mapping_
    | Bins
    | Rounding
    | Prefix
    | Substitution
    | Source
    | Technical
    | Numeric
    | Believing
)
