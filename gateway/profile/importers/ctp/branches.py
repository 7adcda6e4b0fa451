"""The branches of a replacement script: ``@if`` and ``@select`` taken apart into conditions and plain scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gateway.profile.importers.ctp.ctp_conditions import Inexpressible, Test, condition, differences, joined, negated
from gateway.profile.importers.ctp.ctp_outcomes import Outcomes
from gateway.profile.importers.ctp.model import NotTranslatable
from gateway.profile.importers.ctp.script import Call, Script

#: ``any`` depth, the ``top`` level, or inside the ``items`` of sequences.
Scope: TypeAlias = Literal["any", "top", "items"]

_TESTS: Final = {
    "isblank": Test.BLANK,
    "exists": Test.EXISTS,
    "equals": Test.EQUALS,
    "contains": Test.CONTAINS,
    "matches": Test.MATCHES,
    "greaterthan": Test.GREATER,
}
_MOST_BRANCHES: Final = 64


@dataclass(frozen=True, slots=True)
class Branch:
    """One way through a script: the conditions that lead to it and what is left, without ``@if`` and ``@select``."""

    guards: tuple[str, ...]
    script: Script

    @property
    def when(self) -> str:
        """The condition of the branch: ``true`` if there is none."""
        return joined(list(self.guards), "&&")


def mentions(script: Script, *names: str) -> bool:
    """Whether a call of one of these functions stands anywhere in the script."""
    return any(
        part.name in names or any(mentions(block, *names) for block in part.blocks)
        for part in script
        if isinstance(part, Call)
    )


def scopes(script: Script) -> tuple[Scope, ...]:
    """Where the script does different things: CTP evaluates ``@select`` and conditions where the element stands."""
    if mentions(script, "select"):
        return ("top", "items")
    return ("top",) if mentions(script, "if") else ("any",)


def branches(script: Script, scope: Scope, outcomes: Outcomes) -> list[Branch]:
    """All ways through the script; their conditions exclude each other, and one of them always holds.

    Raises
    ------
    NotTranslatable
        a condition cannot be said in CEL, or there are too many ways
    """
    combined = [Branch((), ())]
    for part in script:
        if isinstance(part, Call) and part.name in ("if", "select"):
            ways = _ways(part, scope, outcomes)
        else:
            ways = [Branch((), (part,))]
        combined = [Branch(one.guards + way.guards, one.script + way.script) for one in combined for way in ways]
        if len(combined) > _MOST_BRANCHES:
            raise NotTranslatable(f"the script has more than {_MOST_BRANCHES} branches")
    return [branch for branch in combined if branch.when != "false"]


def _ways(call: Call, scope: Scope, outcomes: Outcomes) -> list[Branch]:
    if call.name == "select":
        return branches(call.blocks[1 if scope == "items" else 0], scope, outcomes)
    if scope == "items":
        raise NotTranslatable("CTP tests the item that the element stands in, conditions test the top level")
    holds = _test(call, outcomes)
    return [
        Branch((guard, *way.guards), way.script)
        for guard, block in ((holds, call.blocks[0]), (negated(holds), call.blocks[1]))
        for way in branches(block, scope, outcomes)
    ]


def _test(call: Call, outcomes: Outcomes) -> str:
    word = call.argument(1).strip()
    test = _TESTS.get(word)
    if test is None:
        raise NotTranslatable(f'@if has no test "{word[:40]}": CTP would always take the second block')
    if test not in (Test.BLANK, Test.EXISTS) and len(call.arguments) < 3:
        raise NotTranslatable(f"@if with {word} has three arguments")
    text = outcomes.parameter(call.argument(2))
    if test is Test.MATCHES:
        text = text.strip()
    reference = outcomes.reference(call.argument(0))
    try:
        expression = condition(reference, test, text, ignore_case=True)
    except Inexpressible as failed:
        raise NotTranslatable(str(failed)) from None
    outcomes.remarks += [(remark, "the condition of the rule") for remark in differences(reference, test)]
    return expression
