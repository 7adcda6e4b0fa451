"""The rules that a profile itself has, apart from those of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.profile.element import show_element
from gateway.profile.pixel_program import PixelRule
from gateway.profile.pixel_wording import key_of
from gateway.profile.program import Action, Origin, Program
from gateway.profile.wording import OUTCOMES, path_name, pattern_name, private_name

__all__ = ["Rule", "own_rules"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a profile for one target.

    Attributes
    ----------
    target
        what it is about, as the profile writes it; the condition of an accept rule
    verb
        what it does
    when
        its condition, empty if it has none
    origin
        where it stands
    action
        the action of an attribute rule, None for an accept rule and a pixel rule
    tag
        the element, None for rules about several
    pixels
        the pixel rule, None for others
    """

    target: str
    verb: str
    when: str
    origin: Origin
    action: Action | None = None
    tag: int | None = None
    pixels: PixelRule | None = None

    def __str__(self) -> str:
        condition = f" if {self.when}" if self.when else ""
        return f"line {self.origin.line}: {self.verb} {self.target}{condition}"


def own_rules(program: Program) -> tuple[Rule, ...]:
    """The rules that the profile itself has, without those of its layers, in the order of its file.

    A rule that another one of the profile replaces wholly is not in the program, and none of these.
    """
    own = {rule: None for rule in _rules(program) if rule.origin.layer == program.profile and rule.origin.file}
    return tuple(sorted(own, key=lambda rule: rule.origin.line))


def _rules(program: Program) -> Iterator[Rule]:
    for tag in {**program.actions, **program.rules}:
        for action in program.rules.get(tag) or (program.actions[tag],):
            yield _rule(show_element(tag), action, tag)
    for name, default in (("private", program.private), ("unknown", program.unknown), ("unlisted", program.unlisted)):
        for action in (*program.defaults.get(name, ()), default):
            yield _rule(name, action)
    for action in program.defaults.get("safe-private", ()):
        yield _rule("safe-private", action)
    for pattern in program.patterns:
        yield _rule(pattern_name(pattern), pattern.action)
    for path in program.paths:
        yield _rule(path_name(path), path.action, path.tag)
    for private in program.private_elements:
        yield _rule(private_name(private), private.action)
    for tag, action in program.inserts:
        yield _rule(show_element(tag), action, tag)
    for rule in program.accept:
        yield Rule(rule.condition.text, OUTCOMES[rule.decision], "", rule.origin)
    for one in program.pixels:
        when = "" if one.condition is None else one.condition.text
        yield Rule("of the pixels", key_of(one), when, one.origin, pixels=one)


def _rule(target: str, action: Action, tag: int | None = None) -> Rule:
    when = "" if action.when is None else action.when.text
    return Rule(target, action.verb.value, when, action.origin, action, tag)
