"""What the rules mean for data sets of one make, decided once.

The instances of a series have the same elements with other values. For a list of tags the rule of each element, and
which neighbours stay together, are the same every time; so is what a rule writes for a value that was met before. The
engine looks both up where it can, and goes element by element where it cannot.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from gateway.deid.private import staying
from gateway.dicom.encoded import Buffer, Element
from gateway.profile import Action, Verb

if TYPE_CHECKING:
    from gateway.deid.plan import Plan

__all__ = ["KEEP", "PUT", "RULE", "SEQUENCE", "Layout", "Layouts", "Step"]

#: Neighbouring elements that stay as they are.
KEEP: Final = 0
#: An element whose rule has to look at it.
RULE: Final = 1
#: A sequence that stays, with the rules applied inside.
SEQUENCE: Final = 2
#: An element that the engine writes, instead of a received one or beside them.
PUT: Final = 3

#: Kind, number of the first and of the last element (none: -1) or of the insert, and the rule.
Step: TypeAlias = "tuple[int, int, int, Action | None]"

#: Shorter data sets are walked as fast; of longer ones there are not many of one make.
_SHORTEST: Final = 24
_LONGEST: Final = 2_000
_MOST: Final = 256
_ODD_GROUP: Final = 0x00010000
_TAG: Final = itemgetter(0)
_START: Final = itemgetter(2)
_END: Final = itemgetter(4)


class Layout(NamedTuple):
    """What becomes of a top level of one make.

    Attributes
    ----------
    steps: in the order of the output
    removed: how many elements go without being looked at
    """

    steps: tuple[Step, ...]
    removed: int


#: Stands for a layout that was not made yet.
_NEW: Final = Layout((), -1)


class Layouts:
    """The layouts of a plan.

    Parameters
    ----------
    plan: its rules
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        #: None: walked element by element.
        self._known: dict[tuple[object, ...], Layout | None] = {}

    def find(
        self, buffer: Buffer, elements: list[Element], inserts: tuple[int, ...], sop_class: str, *, references: bool
    ) -> Layout | None:
        """The layout of a top level; None for one that is walked element by element.

        Parameters
        ----------
        buffer, elements: the data set
        inserts: tags of the elements that the engine writes
        sop_class: the SOP Class UID
        references: whether the instance lists its references
        """
        if not _SHORTEST <= len(elements) <= _LONGEST:
            return None
        # Elements that were sorted do not lie one behind the other.
        if list(map(_START, elements[1:])) != list(map(_END, elements[:-1])):
            return None
        tags = tuple(map(_TAG, elements))
        sequences = tuple([number for number, element in enumerate(elements) if element[5] is not None])
        private = self._plan.private.make(buffer, elements) if self._plan.private.active else ((), ())
        if private is None:
            return None
        key = (tags, sequences, inserts, sop_class, references, private)
        layout = self._known.get(key, _NEW)
        if layout is _NEW:
            layout = _made(self._plan, buffer, elements, inserts, (sop_class, references))
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = layout
        return layout


def _made(
    plan: Plan, buffer: Buffer, elements: list[Element], inserts: tuple[int, ...], iod: tuple[str, bool]
) -> Layout | None:
    stay: frozenset[int] | None = frozenset()
    if plan.private.active:
        stay = staying(plan.private.find(buffer, elements, {}))
    if stay is None:
        return None
    steps: list[Step] = []
    removed = waiting = 0
    for number, element in enumerate(elements):
        tag = element[0]
        while waiting < len(inserts) and inserts[waiting] < tag:
            steps.append((PUT, waiting, -1, None))
            waiting += 1
        if waiting < len(inserts) and inserts[waiting] == tag:
            steps.append((PUT, waiting, number, None))
            waiting += 1
            continue
        if tag in stay:
            rule = None
        elif tag in plan.top:
            rule = plan.top[tag]
        else:
            rule = plan.remove_private if tag & _ODD_GROUP else plan.rule(tag)
        if rule is not None:
            verb = plan.resolve(rule.verb, (iod[0], (), tag, iod[1]))
            if verb is Verb.REMOVE:
                removed += 1
            else:
                steps.append((RULE, number, number, rule))
        elif element[5] is not None:
            steps.append((SEQUENCE, number, number, None))
        elif steps and steps[-1][0] == KEEP and steps[-1][2] == number - 1:
            steps[-1] = (KEEP, steps[-1][1], number, None)
        else:
            steps.append((KEEP, number, number, None))
    steps.extend((PUT, number, -1, None) for number in range(waiting, len(inserts)))
    return Layout(tuple(steps), removed)
