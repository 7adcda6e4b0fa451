"""One treatment for all who need one, and every condition asked once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.deid.trace import Trace
from gateway.dicom.encoded import Limits
from gateway.errors import HeldByRule, RejectedByRule
from gateway.profile.condition import Condition
from gateway.rehearsal.dry_run import DryRun
from gateway.treatment.treatment import OpeningRules, Treatment
from tests.fixtures.treating import CT, KEY, image, noise, program, stored

RULES = """
accept:
  - {reject: Modality == "US", because: no ultrasound}
  - {hold: Modality == "MR", because: somebody looks}
pixels:
  - mask: [[0, 0, 2, 2]]
    when: Rows == 8
attributes:
  - replace: {StudyDescription: large}
    when: Rows > 100
    because: tells nobody
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each condition was evaluated."""
    evaluate, counts = Condition.evaluate, Counter[str]()

    def counting(self: Condition, values: Mapping[str, object]) -> bool:
        counts[self.text] += 1
        return evaluate(self, values)

    monkeypatch.setattr(Condition, "evaluate", counting)
    return counts


def test_every_condition_is_asked_once(tmp_path: Path, asked: Counter[str]) -> None:
    using = program(tmp_path, RULES)
    opening = OpeningRules(work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 20)
    path = stored(tmp_path, image(noise(8, 8), CT, Modality="CT", StudyDescription="KNEE"))
    once = {'Modality == "US"': 1, 'Modality == "MR"': 1, "Rows == 8": 1, "Rows > 100": 1}
    treatment, trace = Treatment(using, KEY), Trace()
    # A trace and a dry run ask nothing more, and come to the same.
    with opening.open(path) as instance, DryRun(using, KEY) as dry_run:
        with treatment.treat(treatment.admit(instance), opening=opening, trace=trace) as treated:
            assert asked == once
            assert treated.areas == 1
        asked.clear()
        dry = dry_run.of(instance)
        assert asked == once
        assert dry.output is not None
        assert dry.output.actions == treated.output.actions
        assert dry.trace.entries == trace.entries != []


@pytest.mark.parametrize(("modality", "error"), [("US", RejectedByRule), ("MR", HeldByRule)])
def test_what_is_not_admitted_is_not_treated(tmp_path: Path, modality: str, error: type[Exception]) -> None:
    treatment = Treatment(program(tmp_path, RULES), KEY)
    opening = OpeningRules(work=tmp_path, limits=Limits(), max_reencode_bytes=1 << 20)
    with opening.open(stored(tmp_path, image(noise(8, 8), CT, Modality=modality))) as instance:
        refused = treatment.decide(instance)
        with pytest.raises(error), treatment.treat(refused, opening=opening):
            pass
        with pytest.raises(error):
            treatment.admit(instance)
