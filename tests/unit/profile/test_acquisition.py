"""gateway.profile.acquisition: the table, the layer that is made of it, and ``only: numeric``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import Numeric, Verb, load_profile
from gateway.profile.acquisition import ACQUISITION_PRIVATE, NUMERIC_VRS
from gateway.profile.safe_private import SAFE_PRIVATE
from tests.unit.profile.writing import attributes, load

MOST = 1_000_000


def test_no_row_lets_an_identifier_of_seven_digits_stay() -> None:
    for place, row in ACQUISITION_PRIVATE.items():
        numeric = row.numeric
        if numeric.form:
            assert (numeric.low, numeric.high) == (None, None), place
            for number in ("1234567", "12345678", "4471823", "77120031", "GARCIA", "HC-44718"):
                assert re.fullmatch(numeric.form, number) is None, place
        elif numeric.vrs != ("SQ",):
            assert set(numeric.vrs) <= NUMERIC_VRS, place
            low, high = numeric.low or 0, numeric.high or 0
            assert -MOST <= low < high <= MOST, place
        assert row.topic in ("diffusion", "scaling", "slices", "timing"), place


def test_the_table_agrees_with_that_of_the_standard() -> None:
    both = ACQUISITION_PRIVATE.keys() & SAFE_PRIVATE.keys()
    assert len(both) == 9
    for place in both:
        ours, theirs = ACQUISITION_PRIVATE[place].numeric, SAFE_PRIVATE[place]
        assert (ours.vrs, ours.vm.rpartition("-")[2]) == ((theirs.vr,), theirs.vm), place


def test_the_layer_has_every_row_with_what_the_table_says() -> None:
    program = load_profile("research-default")
    rules = {(rule.group, rule.offset or 0, rule.creator): rule for rule in program.private_elements}
    assert rules.keys() == ACQUISITION_PRIVATE.keys()
    for place, rule in rules.items():
        assert rule.action.verb is Verb.KEEP
        assert rule.action.options == ACQUISITION_PRIVATE[place].numeric
        assert rule.action.origin.layer == "retain-acquisition-private"
        assert rule.action.because
        assert rule.vr == ACQUISITION_PRIVATE[place].numeric.vrs[0]


def test_numbers_that_only_the_dictionary_knows(tmp_path: Path) -> None:
    rule = "{keep: ['(0019,xx18) SIEMENS MR HEADER'], only: numeric, because: needed}"
    (found,) = load(tmp_path, attributes(rule)).private_elements
    assert found.action.options == Numeric(("IS",), "1-n")


@pytest.mark.parametrize(
    ("element", "words"),
    [
        # text, bytes, unknown
        ("(0051,xx0F) SIEMENS MR HEADER", "the VR of this one is LO"),
        ("(0029,xx10) SIEMENS CSA HEADER", "the VR of this one is OB"),
        ("(0019,xx18) ACME", "the VR of this one is not known"),
        # several elements, or none of a maker
        ("(0019,xxxx) SIEMENS MR HEADER", "private elements with their number"),
        ("PatientWeight", "private elements with their number"),
        ("safe-private", "private elements with their number"),
    ],
)
def test_only_numbers_are_numeric(tmp_path: Path, element: str, words: str) -> None:
    with pytest.raises(ProfileError) as failed:
        load(tmp_path, attributes(f"{{keep: ['{element}'], only: numeric, because: needed}}"))
    assert words in str(failed.value.facts["problem"])


def test_the_digest_tells_what_is_let_stay(tmp_path: Path) -> None:
    rule = "keep: ['(0019,xx0C) SIEMENS MR HEADER'], because: needed"
    plain, numeric = (load(tmp_path, attributes(f"{{{rule}{more}}}")) for more in ("", ", only: numeric"))
    assert plain.digest != numeric.digest
