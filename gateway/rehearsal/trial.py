"""A profile on trial: what its rules really make of the smallest instance of each common kind.

A profile that can be read may still hold every image: a condition that compares what a kind of instance does not have,
or a rule that wants something gone which is still there. Only the treatment itself tells.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import (
    GatewayError,
    HeldByRule,
    InstanceError,
    PixelHold,
    ProfileError,
    PseudonymMissing,
    RejectedByRule,
    RuleFailed,
)
from gateway.profile import Program
from gateway.profile.check import Finding, Report, check_profile
from gateway.profile.element import parse_element
from gateway.profile.explain import candidates
from gateway.rehearsal.activation import require_passing
from gateway.rehearsal.dry_run import DEMONSTRATION_KEY, Numbers, opening
from gateway.rehearsal.smallest_images import KINDS, smallest
from gateway.settings.pixel_settings import PixelSettings
from gateway.treatment.pixel_stage import PixelStage
from gateway.treatment.treatment import Treatment

__all__ = ["check_by_trial", "tried"]

#: Holds that the author has asked for, or that a person or a table can end.
_MEANT: Final = (HeldByRule, PixelHold, PseudonymMissing)
#: How a rule says that a value is none of those that it knows: ``otherwise: hold`` means that.
_UNKNOWN_VALUE: Final = "does not know its value"
_CONDITION: Final = re.compile(r"the condition at (.+):(\d+):(\d+)")
_PIXEL_RULE: Final = re.compile(r"the pixel rule of (.+), line (\d+)")
_PLACE: Final = re.compile(r"(?:\([0-9A-F]{4},[0-9A-F]{4}\)(?:\[\d+\])?/?)+")
_TYPES: Final = "an operation does not suit the types of its values"


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why an instance would be held, and where the rule stands that does it."""

    text: str
    file: str = ""
    line: int = 0
    column: int = 0
    #: The smallest instances have sizes and regions that real ones need not have.
    depends_on_pixels: bool = False


def check_by_trial(name_or_path: str | Path, *, search: Sequence[Path] = (), layer: bool = False) -> Report:
    """Check a profile as ``check_profile`` does, run its tests, and try it on an instance of each common kind.

    Parameters
    ----------
    name_or_path, search, layer
        as for ``check_profile``

    Raises
    ------
    ConfigurationError
        the installation is incomplete
    """
    report = check_profile(name_or_path, search=search, layer=layer)
    if report.program is None:
        return report
    try:
        require_passing(report.program)
    except ProfileError as failed:
        file, _, line = str(failed.facts["place"]).rpartition(":")
        place = (file, int(line)) if line.isdecimal() else ("", 0)
        return Report((Finding(str(failed.facts["problem"]), *place),), report.warnings, None)
    errors, warnings = tried(report.program)
    program = None if errors else report.program
    return Report(errors, (*report.warnings, *warnings), program, as_layer=report.as_layer)


def tried(program: Program) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What the trial of ``program`` shows.

    Returns
    -------
    Errors: every instance would be held that no rule keeps out. Warnings: some kinds would be, or instances that say
    little of themselves.
    """
    outcomes = _outcomes(program)
    reached = [kind for kind in KINDS if not isinstance(outcomes[kind, "full"], GatewayError)]
    if not reached:
        return (), tuple(_nothing_reached(outcomes.values()))
    full = _by_failure({kind: outcomes[kind, "full"] for kind in reached})
    failing = {kind for failed, kinds in full.items() if not failed.depends_on_pixels for kind in kinds}
    errors, warnings = [], []
    for failed, kinds in full.items():
        if failing == set(reached) and not failed.depends_on_pixels:
            errors.append(_finding(failed, "every instance" if len(kinds) == len(reached) else _all_of(kinds)))
        else:
            warnings.append(_finding(failed, _all_of(kinds)))
    bare = _by_failure({kind: outcomes[kind, "bare"] for kind in reached})
    for failed, kinds in bare.items():
        left = [kind for kind in kinds if outcomes[kind, "full"] is None]
        if left:
            warnings.append(_finding(failed, f"{_all_of(left)} that has little more than it must have"))
    return tuple(errors), tuple(warnings)


def _outcomes(program: Program) -> dict[tuple[str, str], _Failed | GatewayError | None]:
    """What became of each instance: None if it went on, an error if the profile means to keep it."""
    outcomes: dict[tuple[str, str], _Failed | GatewayError | None] = {}
    stage = PixelStage(PixelSettings())
    try:
        treatment = Treatment(program, DEMONSTRATION_KEY, numbers=Numbers(), pixels=stage)
        with tempfile.TemporaryDirectory(prefix="profile-check-") as folder:
            rules = opening(Path(folder))
            for one in smallest():
                path = one.write(Path(folder))
                with rules.open(path) as instance:
                    try:
                        with treatment.treat(treatment.admit(instance), opening=rules):
                            outcomes[one.kind, one.form] = None
                    except (*_MEANT, RejectedByRule) as meant:
                        outcomes[one.kind, one.form] = meant
                    except InstanceError as failed:
                        outcomes[one.kind, one.form] = _failure(program, failed)
                path.unlink()
    finally:
        stage.close()
    return outcomes


def _failure(program: Program, error: InstanceError) -> _Failed | GatewayError:
    where, reason = str(error.facts.get("where", "")), str(error.facts.get("reason", error.message))
    if isinstance(error, RuleFailed) and reason.endswith(_UNKNOWN_VALUE):
        return error
    condition = _CONDITION.fullmatch(where)
    if condition is not None:
        hint = 'a value that is missing reads as empty text: ask present("...") first' if reason == _TYPES else ""
        text = f"the condition cannot be decided, for {reason}" + (f"; {hint}" if hint else "")
        return _Failed(text, condition[1], int(condition[2]), int(condition[3]))
    pixels = _PIXEL_RULE.match(where)
    if pixels is not None:
        rule = next(
            (one for one in program.pixels if (one.origin.layer, str(one.origin.line)) == pixels.groups()), None
        )
        file = "" if rule is None else rule.origin.file
        return _Failed(f"{reason}; say in when for which images the rule is", file, int(pixels[2]), 0, True)
    return _of_element(program, where, error)


def _of_element(program: Program, where: str, error: InstanceError) -> _Failed:
    """A failure that names an element, with the rule for that element."""
    reason = str(error.facts.get("reason", error.message))
    if _PLACE.fullmatch(where) is None:
        return _Failed(error.message)
    element = parse_element(re.sub(r"\[\d+\]", "", where))
    rule = candidates(program, element)[0].origin
    text = f"{element}: {reason}" if reason != error.message else error.message
    return _Failed(text, rule.file, rule.line)


def _by_failure(outcomes: dict[str, _Failed | GatewayError | None]) -> dict[_Failed, list[str]]:
    kinds: dict[_Failed, list[str]] = {}
    for kind, outcome in outcomes.items():
        if isinstance(outcome, _Failed):
            kinds.setdefault(outcome, []).append(kind)
    return kinds


def _finding(failed: _Failed, which: str) -> Finding:
    return Finding(f"{which} would be held: {failed.text}", failed.file, failed.line, failed.column)


def _all_of(kinds: Sequence[str]) -> str:
    names = f"{', '.join(kinds[:-1])} and {kinds[-1]}" if len(kinds) > 1 else kinds[0]
    return f"every {names}"


def _nothing_reached(outcomes: Iterable[_Failed | GatewayError | None]) -> Iterator[Finding]:
    """Nothing of the common kinds goes on: perhaps that is meant, perhaps a condition is the wrong way round."""
    if all(isinstance(one, HeldByRule | RejectedByRule) for one in outcomes):
        yield Finding(f"the rules of accept let none of these go on: {', '.join(KINDS)}")
