"""How the first elements of the instances of a series lie, learnt from the one before.

The slices of a series have the same elements, most of them of the same length. To compare their headers with those of
the slice before, a stretch of many at once, costs a tenth of reading one header after the other, and is as exact: what
differs in anything but the values that nobody wants is not taken for the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import Final, NamedTuple

__all__ = ["Mark", "Shape", "Step", "Stretch"]

#: So many instances may have other elements than the one before, and another one for so many that have the same: to
#: learn costs as much as to read several, and of what always changes nothing is learnt.
_MISSES: Final = 4
_FOR_EACH: Final = 16


class Step(Enum):
    """What is done with an element."""

    #: It is passed by with those around it.
    LEAVE = "leave"
    #: Nobody wants it, and its length changes.
    SKIP = "skip"
    #: Its value is wanted, and is not always the same.
    KEEP = "keep"
    #: Its value is wanted, and has been the same so far: it is passed by with those around it if it still is.
    SAME = "same"
    #: It is a sequence that has to be looked into, or whose end has to be looked for.
    ENTER = "enter"
    #: Nothing wanted comes any more.
    END = "end"
    #: Everything wanted has come, if no more of it is in sight.
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Mark:
    """An element as it was met.

    Attributes
    ----------
    at, start, end
        where its header, its value and what follows it begin
    step
        what is done with it
    tag
        what it is, if it is wanted
    name
        bytes of its header before its length
    hidden
        whether what it has in it is encoded with implicit VR
    """

    at: int
    start: int
    end: int
    step: Step
    tag: int | None
    name: int
    hidden: bool

    @property
    def is_passed(self) -> bool:
        """Whether it is passed by with those around it."""
        return self.step in (Step.LEAVE, Step.SAME)

    @property
    def is_whole(self) -> bool:
        """Whether it is passed by only if its value is the same, too: it is wanted, or its length is not known."""
        return self.is_passed and self.tag is not None

    @property
    def singly(self) -> Step:
        """What is done with it if it is not passed by."""
        if self.step is Step.SAME:
            return Step.KEEP
        return Step.ENTER if self.is_whole else Step.SKIP


class Stretch(NamedTuple):
    """Elements that are passed by, and the name of the one behind them with which something is done.

    Attributes
    ----------
    size
        bytes up to the length of that one, or to its end if nothing comes behind it
    mask, seen
        which of their bits have to be as they were, and how they were
    step, tag, hidden
        of that one, as in ``Mark``
    width
        bytes of its length; 0 for the end
    """

    size: int
    mask: int
    seen: int
    step: Step
    tag: int | None
    width: int
    hidden: bool


class Shape:
    """What is known of how an association's instances lie; used by one thread."""

    __slots__ = ("_head", "_hits", "_is_first", "_marks", "_misses", "same", "stretches", "told")

    def __init__(self) -> None:
        #: In the order of the data set; empty while nothing is known.
        self.stretches: tuple[Stretch, ...] = ()
        #: Tag -> the value that is passed by because it is the same.
        self.same: dict[int, list[bytes]] = {}
        #: What was found in the last instance, and what was made of it.
        self.told: tuple[object, object] = (None, None)
        self._marks: list[Mark] = []
        self._head = b""
        self._is_first = True
        self._hits = 0
        self._misses = 0

    @property
    def wants_marks(self) -> bool:
        """Whether an instance that is read should be learnt: not the first, which may be the only one."""
        is_first, self._is_first = self._is_first, False
        return not is_first and self._misses < _MISSES + self._hits // _FOR_EACH

    def learn(self, head: bytes, marks: Sequence[Mark]) -> None:
        """Take what was met in an instance for the shape of the next ones, if it stands in the order of the standard.

        In any other, what is passed by because it is the same would count before it has been compared, and of an
        element that comes twice the wrong one would.
        """
        wanted = [mark.tag or 0 for mark in marks if mark.step in (Step.KEEP, Step.SAME)]
        if any(one >= next_one for one, next_one in pairwise(wanted)):
            self.forget()
            return
        self._marks = list(marks)
        self._head = head[: marks[-1].end] if marks else b""
        self._lay()

    def missed(self, number: int, window: bytes, at: int) -> None:
        """Learn from an instance that is another from stretch ``number`` on, which would begin at ``at``."""
        stretch = self.stretches[number]
        differing = int.from_bytes(window[at : at + stretch.size], "little") & stretch.mask ^ stretch.seen
        if differing:
            begin = self._begins()[number]
            place = begin + ((differing & -differing).bit_length() - 1) // 8
            index = bisect_right(self._marks, place, key=lambda mark: mark.at) - 1
            mark = self._marks[index]
            if mark.is_passed and place >= mark.at + mark.name:
                self._marks[index] = replace(mark, step=mark.singly)
                self._lay()
                return
        self.forget()

    def forget(self) -> None:
        """An instance is another: the next one is learnt, if that is worth while."""
        self._misses += 1
        self.stretches, self._marks, self._head = (), [], b""

    def met(self) -> None:
        """An instance lay as was known."""
        self._hits += 1

    def _begins(self) -> list[int]:
        """Where the stretches began in the instance that was learnt."""
        return [0, *(mark.end for mark in self._marks if not mark.is_passed)]

    def _lay(self) -> None:
        stretches = []
        begin, fixed = 0, bytearray()
        self.same = {}
        for mark in self._marks:
            fixed += bytes(mark.at - begin - len(fixed))
            if mark.is_passed:
                fixed += b"\xff" * ((mark.end if mark.is_whole else mark.start) - mark.at)
                if mark.step is Step.SAME and mark.tag is not None:
                    self.same[mark.tag] = [self._head[mark.start : mark.end]]
                continue
            width = 0 if mark.step is Step.END else 2 if mark.start - mark.at - mark.name == 2 else 4
            fixed += b"\xff" * mark.name + bytes(mark.start - mark.at - mark.name - width if width else 0)
            stretches.append(self._stretch(begin, fixed, mark, width))
            begin, fixed = mark.end, bytearray()
        if fixed:
            stretches.append(self._stretch(begin, fixed, replace(self._marks[-1], step=Step.LAST), 0))
        self.stretches = tuple(stretches)

    def _stretch(self, begin: int, fixed: bytearray, mark: Mark, width: int) -> Stretch:
        mask = int.from_bytes(fixed, "little")
        seen = int.from_bytes(self._head[begin : begin + len(fixed)], "little") & mask
        return Stretch(len(fixed), mask, seen, mark.step, mark.tag, width, mark.hidden)
