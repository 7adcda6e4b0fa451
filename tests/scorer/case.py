"""One original and its output, laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset

from tests.scorer import table
from tests.scorer.private import SafeList
from tests.scorer.reading import Leaf, Place, leaves
from tests.scorer.table import Ruling

#: Sequences of content items (PS3.3 tables C.17-6, C.7.6.14, C.7.6.22), which PS3.15 Table E.3.4-1 rules.
CONTENT_SEQUENCES: Final = frozenset({0x0040A730, 0x00400555, 0x00400610})

_PRIVATE_CHARACTERISTICS: Final = 0x00080300
_UNFORMATTED_TEXT: Final = 0x00700006


@dataclass(frozen=True, slots=True)
class Original:
    """A data set as it was received, read to its bottom once for any number of outputs."""

    dataset: Dataset
    leaves: tuple[Leaf, ...]
    by_place: dict[tuple[Place, int], Leaf]
    safe: SafeList

    @classmethod
    def of(cls, dataset: Dataset) -> Original:
        """Everything that there is in ``dataset``."""
        found = tuple(leaves(dataset))
        by_place = {(leaf.path, leaf.tag): leaf for leaf in found}
        declared = by_place.get(((), _PRIVATE_CHARACTERISTICS))
        return cls(dataset, found, by_place, SafeList((declared and declared.items) or ()))

    @property
    def patient(self) -> str:
        """Whose instance it is: by Patient ID and its issuer, or name and birth date, or the study."""
        for keywords in (
            ("PatientID", "IssuerOfPatientID"),
            ("PatientName", "PatientBirthDate"),
            ("StudyInstanceUID",),
        ):
            values = [str(self.dataset.get(keyword) or "").strip() for keyword in keywords]
            if values[0]:
                return "\\".join((keywords[0], *values))
        return f"instance {self.dataset.get('SOPInstanceUID')}"


@dataclass(frozen=True, slots=True)
class Case:
    """An original, its output, and what was asked for.

    ``unjudged`` are tags that the profile treats by rules of its own, other than the table's; ``neutral`` holds
    values that say nothing.
    """

    original: Original
    output: Dataset
    leaves: Sequence[Leaf]
    by_place: dict[tuple[Place, int], Leaf]
    items: frozenset[Place]
    options: frozenset[str]
    unjudged: frozenset[int]
    neutral: frozenset[str]

    @classmethod
    def of(
        cls,
        original: Original,
        output: Dataset,
        *,
        options: frozenset[str],
        unjudged: frozenset[int] = frozenset(),
        neutral: frozenset[str] = frozenset(),
    ) -> Case:
        """Read ``output`` to its bottom, its items numbered like the original's that they were made of."""
        found = tuple(leaves(output, like=original.dataset))
        return cls(
            original=original,
            output=output,
            leaves=found,
            by_place={(leaf.path, leaf.tag): leaf for leaf in found},
            items=frozenset((*leaf.path, (leaf.tag, number)) for leaf in found for number in leaf.numbers),
            options=options,
            unjudged=unjudged,
            neutral=neutral,
        )

    def ruling(self, leaf: Leaf) -> Ruling | None:
        """What the table says of an element under the options; None where it says nothing."""
        found = table.ruling(leaf.tag, self.options)
        # Clean Graphics is a matter of Graphic Annotation Sequence, and of the texts in it.
        if leaf.tag == _UNFORMATTED_TEXT and found is not None and "clean-graphics" in self.options:
            return Ruling("C", found.basic, frozenset({"clean-graphics"}))
        return found

    def before(self, leaf: Leaf) -> Leaf | None:
        """The original's element at the place of one of the output."""
        return self.original.by_place.get((leaf.path, leaf.tag))

    def after(self, leaf: Leaf) -> Leaf | None:
        """The output's element at the place of one of the original."""
        return self.by_place.get((leaf.path, leaf.tag))

    def is_judged(self, leaf: Leaf) -> bool:
        """Whether the table decides over an element and all that encloses it."""
        return leaf.tag not in self.unjudged and not any(tag in self.unjudged for tag, _ in leaf.path)

    def is_dummy(self, path: Place) -> bool:
        """Whether an enclosing sequence was to be replaced by a dummy, whose items are not the original's."""
        rulings = (table.ruling(tag, self.options) for tag, _ in path)
        return any(found is not None and not found.keeps_items for found in rulings)

    def reaches(self, leaf: Leaf) -> bool:
        """Whether the output still has the items that an element of the original is in."""
        levels = (leaf.path[: depth + 1] for depth in range(len(leaf.path)))
        return all(level in self.items for level in levels) and not self.is_dummy(leaf.path)

    def in_content(self, path: Place) -> bool:
        """Whether an item is part of structured content that the options clean item by item."""
        return "clean-structured-content" in self.options and any(tag in CONTENT_SEQUENCES for tag, _ in path)
