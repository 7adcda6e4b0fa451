"""Running a profile's own tests: small instances through the real engine and verifier."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gateway.dicom.instance import Instance
from gateway.dicom.tag import PIXEL_DATA
from gateway.errors import RuleFailed
from gateway.profile import Origin, Program
from gateway.profile.own_rules import Rule, own_rules
from gateway.profile.pixel_program import FindText, Pass, PixelProgram
from gateway.profile.program import ProfileTest
from gateway.profile.situation import decided
from gateway.rehearsal.dry_run import DEMONSTRATION_KEY, DryRun, DryRunResult, opening
from gateway.rehearsal.expectation import problems
from gateway.rehearsal.given_instance import write_instance
from gateway.rehearsal.pictured import picture_problems

__all__ = ["Trial", "Verdict", "run_tests"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one test.

    Attributes
    ----------
    test
        the test
    outcome
        what became of its instance
    reason
        why it was held or rejected
    problems
        how that differs from what the test expects, with the values; empty if it passed
    """

    test: ProfileTest
    outcome: Literal["accepted", "rejected", "held"]
    reason: str
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Trial:
    """The tests of a profile.

    Attributes
    ----------
    verdicts
        one per test, in order
    rules
        the rules of the profile itself, without those of its layers
    unused
        those that applied in no test
    """

    verdicts: tuple[Verdict, ...]
    rules: tuple[Rule, ...]
    unused: tuple[Rule, ...]

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return all(verdict.passed for verdict in self.verdicts)


def run_tests(program: Program) -> Trial:
    """Run the tests of ``program``'s profile.

    Each test is by itself: all have the same demonstration key, and numbers begin at 1 in each.
    """
    rules = own_rules(program)
    fired: set[Rule] = set()
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="profile-test-") as folder:
        for number, test in enumerate(program.tests):
            path = Path(folder) / f"{number}.dcm"
            try:
                empty = write_instance(path, test)
            except ValueError as failed:
                verdicts.append(Verdict(test, "held", "", (str(failed),)))
                continue
            using = _without_search(program) if empty and not _says_text(test) else program
            # Numbers are given anew.
            with opening(Path(folder)).open(path) as instance, DryRun(using, DEMONSTRATION_KEY) as dry_run:
                outcome = dry_run.of(instance, test.sender)
                failures = (*problems(test, outcome), *picture_problems(test, outcome, path))
                verdicts.append(Verdict(test, outcome.state, outcome.reason, failures))
                fired |= _fired(rules, outcome) | _fired_pixels(rules, program, instance, test, outcome)
    return Trial(tuple(verdicts), rules, tuple(rule for rule in rules if rule not in fired))


def _says_text(test: ProfileTest) -> bool:
    """Whether the instance says that there is text, or has a drawing that may hold some."""
    return any(name == "BurnedInAnnotation" or name.startswith(("Overlay", "(60")) for name in test.given)


def _without_search(program: Program) -> Program:
    """The same, which does not look for text: an empty picture has none, and the search would load its networks."""
    rules = (
        Pass(condition=rule.condition, because=rule.because, origin=rule.origin) if isinstance(rule, FindText) else rule
        for rule in program.pixels
    )
    return replace(program, pixels=PixelProgram(tuple(rules)))


def _fired_pixels(
    rules: Iterable[Rule], program: Program, instance: Instance, test: ProfileTest, outcome: DryRunResult
) -> set[Rule]:
    """The pixel rules that applied to an instance with a picture."""
    kept_out = outcome.rule is not None and outcome.state != "accepted"
    if kept_out or not any(element[0] == PIXEL_DATA for element in instance.elements):
        return set()
    try:
        specialised = program.specialise(decided(program, instance, test.sender))
    except RuleFailed:
        return set()
    applied = {rule.origin for rule in specialised.pixels}
    return {rule for rule in rules if rule.pixels is not None and rule.origin in applied}


def _fired(rules: Iterable[Rule], outcome: DryRunResult) -> set[Rule]:
    """Those of ``rules`` that applied to the instance of ``outcome``."""
    met = {(entry.tag, entry.action.origin) for entry in outcome.trace.entries}
    origins = {origin for _, origin in met}
    return {
        rule
        for rule in rules
        if rule.pixels is None and (rule.origin == outcome.rule if rule.action is None else _met(rule, met, origins))
    }


def _met(rule: Rule, met: set[tuple[int, Origin]], origins: set[Origin]) -> bool:
    """Whether the trace names the rule; several elements may have rules in one line."""
    return rule.origin in origins if rule.tag is None else (rule.tag, rule.origin) in met
