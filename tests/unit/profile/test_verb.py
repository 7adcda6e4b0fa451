"""gateway.profile.verb: Table E.1-1a with the attribute's Type."""

from __future__ import annotations

import pytest

from gateway.profile import Verb, resolve


@pytest.mark.parametrize(
    ("verb", "optional", "may_be_empty", "needs_value"),
    [
        # Z/D
        (Verb.EMPTY_OR_DUMMY, Verb.EMPTY, Verb.EMPTY, Verb.DUMMY),
        # X/Z
        (Verb.REMOVE_OR_EMPTY, Verb.REMOVE, Verb.EMPTY, Verb.EMPTY),
        # X/D: RT Plan Date is Type 2, its zero length keeps the plan valid
        (Verb.REMOVE_OR_DUMMY, Verb.REMOVE, Verb.EMPTY, Verb.DUMMY),
        # X/Z/D
        (Verb.REMOVE_OR_EMPTY_OR_DUMMY, Verb.REMOVE, Verb.EMPTY, Verb.DUMMY),
        # X/Z/U*
        (Verb.REMOVE_OR_EMPTY_OR_HASH_UID, Verb.REMOVE, Verb.HASH_UID, Verb.HASH_UID),
    ],
)
def test_compound_verbs(verb: Verb, optional: Verb, may_be_empty: Verb, needs_value: Verb) -> None:
    assert resolve(verb, "3") is optional
    assert resolve(verb, "2") is may_be_empty
    assert resolve(verb, "2C") is may_be_empty
    assert resolve(verb, "1") is needs_value
    assert resolve(verb, "1C") is needs_value
    # An unknown IOD: the choice that every Type allows.
    assert resolve(verb, None) is needs_value
    assert verb.is_compound


SIMPLE = [Verb.KEEP, Verb.REMOVE, Verb.EMPTY, Verb.DUMMY, Verb.HASH_UID, Verb.CLEAN, Verb.REPLACE]


@pytest.mark.parametrize("verb", SIMPLE)
@pytest.mark.parametrize("element_type", ["1", "1C", "2", "2C", "3", None])
def test_simple_verbs_stay(verb: Verb, element_type: str | None) -> None:
    assert resolve(verb, element_type) is verb
    assert not verb.is_compound


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("element_type", ["1", "2", "3", None])
def test_nothing_compound_is_left(verb: Verb, element_type: str | None) -> None:
    found = resolve(verb, element_type)
    assert not found.is_compound
    # Only a rule that says keep, or cleans by itself, leaves the original.
    assert found is not Verb.KEEP or verb is Verb.KEEP


def test_a_wrong_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="no attribute Type"):
        resolve(Verb.REMOVE_OR_EMPTY, "4")


def test_references_stay_where_they_are_listed() -> None:
    for element_type in ("1", "2", "3", None):
        assert resolve(Verb.REMOVE_OR_EMPTY_OR_HASH_UID, element_type, lists_references=True) is Verb.HASH_UID
        assert resolve(Verb.REMOVE_OR_EMPTY, element_type, lists_references=True) is not Verb.HASH_UID
