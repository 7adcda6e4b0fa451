"""gateway.profile.program: which action an element gets."""

from __future__ import annotations

import pickle

import pytest

from gateway.profile import Action, Origin, Pattern, Program, Verb


def action(verb: Verb, line: int = 1) -> Action:
    return Action(verb, Origin("test", "", "test.yaml", line))


PROGRAM = Program(
    profile="test",
    version="1",
    digest="",
    actions={0x00100010: action(Verb.EMPTY), 0x60003000: action(Verb.KEEP), 0x00020003: action(Verb.HASH_UID)},
    patterns=(
        Pattern(0xFF01FFFF, 0x60001500, action(Verb.EMPTY)),
        Pattern(0xFF010000, 0x60000000, action(Verb.REMOVE)),
    ),
    unknown=action(Verb.REMOVE, 7),
)


@pytest.mark.parametrize(
    ("tag", "verb"),
    [
        (0x00100010, Verb.EMPTY),  # a rule for the tag
        (0x60003000, Verb.KEEP),  # a rule for the tag stands above patterns
        (0x60021500, Verb.EMPTY),  # the first pattern that matches
        (0x60020010, Verb.REMOVE),
        (0x60010010, Verb.REMOVE),  # an odd group is private
        (0x00280010, Verb.KEEP),  # unlisted
        (0x00091001, Verb.REMOVE),  # private
        (0x00090010, Verb.REMOVE),  # a private creator
        (0x00104444, Verb.REMOVE),  # unknown
        (0x00100000, Verb.REMOVE),  # a group length
        (0x00000900, Verb.REMOVE),  # Status: a command element
        (0x00020016, Verb.REMOVE),  # Source Application Entity Title
        (0x00020003, Verb.HASH_UID),  # a rule stands above what is said of its group
        (0x00041500, Verb.REMOVE),  # Referenced File ID
        (0xFFFAFFFA, Verb.KEEP),
    ],
)
def test_action(tag: int, verb: Verb) -> None:
    assert PROGRAM.action(tag).verb is verb


def test_every_action_has_a_reason() -> None:
    for tag in (0x00100000, 0x00020016, 0x00280010, 0x00091001):
        origin = PROGRAM.action(tag).origin
        assert (origin.layer, origin.clause[:4]) == ("standard", "PS3.")
    assert PROGRAM.action(0x00104444).origin.line == 7


def test_programs_travel_to_workers() -> None:
    again = pickle.loads(pickle.dumps(PROGRAM))
    assert again == PROGRAM
    assert hash(again) == hash(PROGRAM)
