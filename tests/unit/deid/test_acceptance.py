"""The first accept rule that matches decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.deid.acceptance import decide
from gateway.errors import RuleFailed
from tests.unit.deid.profiles import dataset, item, opened, program, stored

RULES = """
accept:
  - accept: calling_ae == "TRUSTED"
    because: the department checks
  - reject: Modality in ["SR", "PR", "KO"]
    because: no images
  - hold: BurnedInAnnotation == "YES" && Modality == "OT"
    because: screen captures are reviewed
  - reject: items("ViewCodeSequence", "CodeValue").exists(c, c == "X")
    because: not asked for
"""


@pytest.mark.parametrize(
    ("given", "sender", "kind", "because", "line"),
    [
        # no rule matches
        ({"Modality": "CT"}, None, "accepted", "", None),
        # each of them
        ({"Modality": "SR"}, None, "rejected", "no images", 7),
        ({"Modality": "OT", "BurnedInAnnotation": "YES"}, None, "held", "screen captures are reviewed", 9),
        ({"Modality": "CT", "ViewCodeSequence": [item(CodeValue="X")]}, None, "rejected", "not asked for", 11),
        # the first one counts, and who sent it
        ({"Modality": "SR"}, {"calling_ae": "TRUSTED"}, "accepted", "the department checks", 5),
        ({"Modality": "SR"}, {"calling_ae": "OTHER"}, "rejected", "no images", 7),
        # what is missing reads as empty
        ({}, None, "accepted", "", None),
    ],
)  # fmt: skip
def test_decisions(
    tmp_path: Path, given: dict[str, Any], sender: dict[str, str] | None, kind: str, because: str, line: int | None
) -> None:
    using = program(tmp_path, RULES)
    with opened(stored(tmp_path, dataset(**given))) as instance:
        decision = decide(using, instance, sender)
    assert (decision.kind, decision.because) == (kind, because)
    assert decision.rule == ("" if line is None else f"tested:{line}")


def test_a_condition_that_fails_is_no_acceptance(tmp_path: Path) -> None:
    using = program(tmp_path, "accept:\n  - reject: Rows > 100\n    because: too large")
    with opened(stored(tmp_path, dataset())) as instance, pytest.raises(RuleFailed, match="the condition at"):
        decide(using, instance)
