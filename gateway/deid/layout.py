"""What the rules mean for data sets of one make, decided once.

The instances of a series have the same elements with other values. For a list of tags the rule of each element, and
which neighbours stay together, are the same every time; so is what a rule writes for a value that was met before. The
engine looks both up where it can, and goes element by element where it cannot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from gateway.deid.guard import Guard
from gateway.deid.plan import Plan
from gateway.deid.private import PrivateElement, staying
from gateway.deid.value_memory import is_repeatable
from gateway.dicom.encoded import Buffer, Element, Make
from gateway.profile import Action, Unnamed, Verb
from gateway.remembering import BoundedMapping

__all__ = ["CLEAN", "KEEP", "PUT", "REWRITE", "RULE", "SEQUENCE", "Layout", "Layouts", "Step"]

#: Neighbouring elements that stay as they are.
KEEP: Final = 0
#: An element whose rule has to look at it every time.
RULE: Final = 1
#: A sequence that stays, with the rules applied inside.
SEQUENCE: Final = 2
#: An element that the engine writes, instead of a received one or beside them.
PUT: Final = 3
#: An element whose rule makes the same of the same value.
REWRITE: Final = 4
#: The same, within one study: what identifies the study is taken out.
CLEAN: Final = 5

#: Kind, number of the first and of the last element (none: -1) or of the insert, the rule, and what its verb means.
Step: TypeAlias = "tuple[int, int, int, Action | None, Verb]"

#: Shorter data sets are walked as fast; of longer ones there are not many of one make.
_SHORTEST: Final = 24
_LONGEST: Final = 2_000
_MOST: Final = 256
_ODD_GROUP: Final = 0x00010000


class Layout(NamedTuple):
    """What becomes of a top level of one make.

    Attributes
    ----------
    steps
        in the order of the output
    counts
        how many elements are changed by which verb, those that go without a step included
    private
        numbers of private elements that stay, and what looks at them
    """

    steps: tuple[Step, ...]
    counts: Mapping[str, int]
    private: tuple[tuple[int, Guard], ...] = ()


#: Stands for a layout that was not made yet.
_NEW: Final = Layout((), {})


class Layouts:
    """The layouts of a plan.

    Parameters
    ----------
    plan
        its rules
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        #: None: walked element by element.
        self._known: BoundedMapping[tuple[object, ...], Layout | None] = BoundedMapping(_MOST)

    def find(
        self, make: Make, buffer: Buffer, elements: list[Element], inserts: tuple[int, ...], iod: tuple[str, bool]
    ) -> Layout | None:
        """The layout of a top level; None for one that is walked element by element.

        Parameters
        ----------
        make
            of the data set (``encoded.survey``), not None
        buffer, elements
            the data set
        inserts
            tags of the elements that the engine writes
        iod
            the SOP Class UID, and whether the instance lists its references
        """
        if not _SHORTEST <= len(elements) <= _LONGEST:
            return None
        private = self._plan.private.make(buffer, elements) if self._plan.private.active else ((), ())
        if private is None:
            return None
        key = (make, inserts, iod, private)
        layout = self._known.get(key, _NEW)
        if layout is _NEW:
            layout = _made(self._plan, buffer, elements, inserts, iod)
            self._known[key] = layout
        return layout


def _made(
    plan: Plan, buffer: Buffer, elements: list[Element], inserts: tuple[int, ...], iod: tuple[str, bool]
) -> Layout | None:
    stay: frozenset[int] | None = frozenset()
    private: Mapping[int, PrivateElement] = {}
    if plan.private.active:
        private = plan.private.find(buffer, elements, {})
        stay = staying(private)
    if stay is None:
        return None
    steps: list[Step] = []
    counts = Counter[str]()
    waiting = 0
    for number, element in enumerate(elements):
        tag = element[0]
        while waiting < len(inserts) and inserts[waiting] < tag:
            steps.append((PUT, waiting, -1, None, Verb.INSERT))
            waiting += 1
        if waiting < len(inserts) and inserts[waiting] == tag:
            steps.append((PUT, waiting, number, None, Verb.INSERT))
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
            counts[verb.value] += 1
            if verb is not Verb.REMOVE:
                steps.append((_kind(rule, element), number, number, rule, verb))
        elif element[5] is not None:
            steps.append((SEQUENCE, number, number, None, Verb.KEEP))
        elif steps and steps[-1][0] == KEEP and steps[-1][2] == number - 1:
            steps[-1] = (KEEP, steps[-1][1], number, None, Verb.KEEP)
        else:
            steps.append((KEEP, number, number, None, Verb.KEEP))
    steps.extend((PUT, number, -1, None, Verb.INSERT) for number in range(waiting, len(inserts)))
    guarded = [
        (number, decided.guard)
        for number, element in enumerate(elements)
        if (decided := private.get(element[0])) is not None and decided.guard is not None
    ]
    return Layout(tuple(steps), counts, tuple(guarded))


def _kind(rule: Action, element: Element) -> int:
    if element[5] is not None or not is_repeatable(rule):
        return RULE
    return CLEAN if rule.verb is Verb.CLEAN or isinstance(rule.options, Unnamed) else REWRITE
