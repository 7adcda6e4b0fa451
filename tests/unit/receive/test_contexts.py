"""Which presentation contexts are accepted."""

import pytest

from gateway.association.pdu import ProposedContext
from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES
from gateway.receive.contexts import VERIFICATION, is_storage, is_uid, negotiate

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT, JPEG, J2K = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90",
)  # fmt: skip
PRIVATE = "1.2.826.0.1.3680043.9.1"


@pytest.mark.parametrize(
    ("uid", "strictly", "also_unknown"),
    [
        (CT, True, True),
        ("1.2.840.10008.5.1.4.1.1.88.22", True, True),  # structured report
        ("1.2.840.10008.5.1.4.1.1.481.3", True, True),  # RT Structure Set
        ("1.2.840.10008.5.1.4.1.1.104.1", True, True),  # Encapsulated PDF
        (PRIVATE, False, True),  # a private class
        ("1.2.840.10008.5.1.4.1.1.999.1", False, True),  # a storage class of a later edition
        (VERIFICATION, False, False),  # accepted, but no instance is stored by it
        ("1.2.840.10008.5.1.4.1.2.2.1", False, False),  # Study Root Query/Retrieve FIND
        ("1.2.840.10008.5.1.4.1.2.2.2", False, False),  # MOVE
        ("1.2.840.10008.5.1.4.31", False, False),  # Modality Worklist
        ("1.2.840.10008.3.1.2.3.3", False, False),  # MPPS
        ("1.2.840.10008.1.20.1", False, False),  # Storage Commitment
        ("1.2.840.10008.5.1.4.1.1.201.2", False, False),  # Inventory FIND, in the arc of the storage classes
        ("1.2.840.10008.1.3.10", False, False),  # Media Storage Directory
        ("1.2.840.10008.5.1.4.34.6.1", False, False),  # Unified Procedure Step
    ],
)
def test_storage_classes(uid: str, strictly: bool, also_unknown: bool) -> None:
    assert is_storage(uid, accept_unknown=False) is strictly
    assert is_storage(uid, accept_unknown=True) is also_unknown


def test_every_storage_class_of_the_standard_is_taken() -> None:
    assert len(STORAGE_SOP_CLASSES) > 150
    assert all(is_storage(uid, accept_unknown=False) for uid in STORAGE_SOP_CLASSES)


@pytest.mark.parametrize("uid", sorted(TRANSFER_SYNTAXES))
def test_every_transfer_syntax_is_taken_as_sent(uid: str) -> None:
    assert negotiated([(CT, [uid])]) == [(1, 0, uid)]


def negotiated(requested: list[tuple[str, list[str]]], *, accept_unknown: bool = True) -> list[tuple[int, int, str]]:
    """Context id, result and transfer syntax of each answer."""
    proposed = tuple(
        ProposedContext(2 * number + 1, abstract, tuple(syntaxes))
        for number, (abstract, syntaxes) in enumerate(requested)
    )
    answered = negotiate(proposed, accept_unknown=accept_unknown)
    assert [context.abstract_syntax for context in answered] == [abstract for abstract, _ in requested]
    return [(context.context_id, int(context.result), context.transfer_syntax) for context in answered]


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ([(CT, [JPEG, EXPLICIT])], [(1, 0, JPEG)]),  # the sender's first
        ([(CT, [PRIVATE, EXPLICIT])], [(1, 0, EXPLICIT)]),  # a known one before a private one
        ([(CT, [PRIVATE])], [(1, 0, PRIVATE)]),
        ([(CT, [J2K]), (CT, [EXPLICIT]), (CT, [IMPLICIT])], [(1, 0, J2K), (3, 0, EXPLICIT), (5, 0, IMPLICIT)]),
        ([(PRIVATE, [IMPLICIT])], [(1, 0, IMPLICIT)]),
        ([(VERIFICATION, [IMPLICIT])], [(1, 0, IMPLICIT)]),
        ([("1.2.840.10008.5.1.4.1.2.2.1", [IMPLICIT]), (CT, [IMPLICIT])], [(1, 3, IMPLICIT), (3, 0, IMPLICIT)]),
        ([(CT, ["garbage", EXPLICIT])], [(1, 0, EXPLICIT)]),  # not a UID, so not repeated either
        ([(CT, ["garbage"])], [(1, 4, IMPLICIT)]),
        ([(CT, [])], [(1, 4, IMPLICIT)]),
        ([("", [EXPLICIT])], [(1, 3, EXPLICIT)]),
        ([("not a uid", [EXPLICIT])], [(1, 3, EXPLICIT)]),
    ],
)
def test_negotiation(requested: list[tuple[str, list[str]]], expected: list[tuple[int, int, str]]) -> None:
    assert negotiated(requested) == expected


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ([(PRIVATE, [IMPLICIT])], [(1, 3, IMPLICIT)]),  # abstract syntax not supported
        ([(CT, [PRIVATE]), (VERIFICATION, [IMPLICIT])], [(1, 4, PRIVATE), (3, 0, IMPLICIT)]),  # transfer syntaxes
        ([(CT, [PRIVATE, IMPLICIT])], [(1, 0, IMPLICIT)]),
    ],
)
def test_without_unknown_ones(requested: list[tuple[str, list[str]]], expected: list[tuple[int, int, str]]) -> None:
    assert negotiated(requested, accept_unknown=False) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CT, True),
        ("1.02.3", True),  # a leading zero, which some senders write
        ("1" * 64, True),
        ("1" * 65, False),
        ("", False),
        ("1.2\n", False),
        ("1.2 ", False),
        ("1.\u0662", False),  # a digit, but not of ASCII
    ],
)
def test_what_can_be_a_uid(text: str, expected: bool) -> None:
    assert is_uid(text) is expected
