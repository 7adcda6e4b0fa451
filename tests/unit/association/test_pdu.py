"""PDUs that open and end an association, against pynetdicom's."""

import struct

import pytest
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP, A_RELEASE_RQ

from gateway.association.pdu import (
    AbortReason,
    AnsweredContext,
    ContextResult,
    ProposedContext,
    abort,
    acceptance,
    parse_acceptance,
    parse_request,
    rejection,
    release_request,
    release_response,
    request,
)
from gateway.errors import ProtocolViolation
from tests.integration.raw_peer import CT, EXPLICIT, IMPLICIT, VERIFICATION, associate_rq

MANY = [(f"{CT}.{number}", [EXPLICIT, IMPLICIT]) for number in range(128)]


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def context(context_id: int, *items: bytes) -> bytes:
    return item(0x20, bytes((context_id, 0, 0, 0)) + b"".join(items))


FIXED = b"\0\1\0\0" + b"GATEWAY".ljust(16) + b"PEER".ljust(16) + bytes(range(32))
APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
SYNTAXES = item(0x30, CT.encode()) + item(0x40, EXPLICIT.encode())
PROPOSED = context(1, SYNTAXES)


@pytest.mark.parametrize(
    "contexts",
    [
        [(CT, [EXPLICIT])],
        [(CT, [EXPLICIT, IMPLICIT]), (VERIFICATION, [IMPLICIT])],
        MANY,
    ],
)
def test_a_request_is_read_as_pynetdicom_wrote_it(contexts: list[tuple[str, list[str]]]) -> None:
    encoded = associate_rq(contexts, calling="THE MODALITY", called="THE GATEWAY", max_pdu=28_672)
    for _ in range(2):  # also when it is remembered
        request = parse_request(encoded[6:])
        assert request.is_version_1
        assert (request.calling_ae.strip(), request.called_ae.strip()) == ("THE MODALITY", "THE GATEWAY")
        assert request.application_context == "1.2.840.10008.3.1.1.1"
        assert request.max_pdu_bytes == 28_672
        assert request.contexts == tuple(
            ProposedContext(2 * number + 1, abstract, tuple(syntaxes))
            for number, (abstract, syntaxes) in enumerate(contexts)
        )


def test_an_acceptance_is_read_by_pynetdicom() -> None:
    request = parse_request(FIXED + APPLICATION + PROPOSED)
    answered = [
        AnsweredContext(1, ContextResult.ACCEPTANCE, CT, EXPLICIT),
        AnsweredContext(3, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, "1.2.3", IMPLICIT),
        AnsweredContext(255, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, CT, IMPLICIT),
    ]
    encoded = acceptance(request, answered, max_pdu_bytes=131_072)
    assert encoded[10:74] == FIXED[4:]  # what the standard wants back, reserved bytes too
    pdu = A_ASSOCIATE_AC()
    pdu.decode(encoded)
    accept = pdu.to_primitive()
    assert pdu.protocol_version == 1
    assert accept.application_context_name == "1.2.840.10008.3.1.1.1"
    assert accept.maximum_length_received == 131_072
    assert accept.implementation_class_uid is not None
    found = [
        (item.context_id, item.result, str(item.transfer_syntax[0]))
        for item in accept.presentation_context_definition_results_list
    ]
    assert found == [(1, 0, EXPLICIT), (3, 3, IMPLICIT), (255, 4, IMPLICIT)]


def test_the_short_ones_are_read_by_pynetdicom() -> None:
    rejected = A_ASSOCIATE_RJ()
    rejected.decode(rejection(2, 3, 2))
    assert (rejected.result, rejected.source, rejected.reason_diagnostic) == (2, 3, 2)
    aborted = A_ABORT_RQ()
    aborted.decode(abort(AbortReason.UNEXPECTED_PDU))
    assert (aborted.source, aborted.reason_diagnostic) == (2, 2)
    given_up = A_ABORT_RQ()
    given_up.decode(abort())
    assert (given_up.source, given_up.reason_diagnostic) == (0, 0)
    asked = A_RELEASE_RQ()
    asked.decode(release_request())
    assert asked.encode() == release_request()
    released = A_RELEASE_RP()
    released.decode(release_response())
    assert released.encode() == release_response()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "cut off"),
        (FIXED[:-1], "cut off"),
        (FIXED + APPLICATION[:-1], "cut off"),
        (FIXED + b"\x10\0\0", "cut off"),  # in the header of an item
        (FIXED + item(0x20, b""), "not odd"),  # without an id
        (FIXED + context(2, SYNTAXES), "not odd"),
        (FIXED + context(0, SYNTAXES), "not odd"),
        (FIXED + PROPOSED + PROPOSED, "one id"),
        (FIXED + context(1, SYNTAXES[:-1]), "cut off"),
        (FIXED + item(0x50, item(0x51, b"\0\1")), "four bytes"),
        (FIXED + item(0x50, b"\x51\0\0"), "cut off"),
        (FIXED + item(0x50, item(0x54, b"\0\x05" + b"1.2.3" + b"\0")), "role selection"),  # one role of two
        (FIXED + item(0x50, item(0x54, b"")), "role selection"),
    ],
)
def test_what_cannot_be_read(body: bytes, reason: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        parse_request(body)
    assert reason in str(caught.value.facts["reason"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (FIXED, ("", (), 0)),  # nothing but the fixed part
        (FIXED + PROPOSED + APPLICATION, ("1.2.840.10008.3.1.1.1", (ProposedContext(1, CT, (EXPLICIT,)),), 0)),
        # UIDs that the sender padded
        (FIXED + context(3, item(0x30, CT.encode() + b"\0"), item(0x40, EXPLICIT.encode() + b" ")),
         ("", (ProposedContext(3, CT, (EXPLICIT,)),), 0)),
        (FIXED + context(5), ("", (ProposedContext(5, "", ()),), 0)),
        # items of no known type, and those that are not negotiated: roles, asynchronous operations, user identity
        (FIXED + item(0x99, b"?") + context(1, item(0x31, b"?"), SYNTAXES)
         + item(0x50, item(0x54, b"\0\x031.2\1\1") + item(0x53, bytes(4)) + item(0x58, b"\2\0")
                + item(0x51, b"\0\0\x40\0")),
         ("", (ProposedContext(1, CT, (EXPLICIT,)),), 16_384)),
    ],
)  # fmt: skip
def test_what_is_passed_over(body: bytes, expected: tuple[str, tuple[ProposedContext, ...], int]) -> None:
    request = parse_request(body)
    assert (request.application_context, request.contexts, request.max_pdu_bytes) == expected


@pytest.mark.parametrize(("version", "expected"), [(0, False), (1, True), (2, False), (3, True), (0xFFFF, True)])
def test_only_the_first_bit_of_the_version_counts(version: int, expected: bool) -> None:
    assert parse_request(version.to_bytes(2, "big") + FIXED[2:]).is_version_1 is expected


@pytest.mark.parametrize("count", [1, 128])
def test_our_request_is_read_by_pynetdicom_and_by_us(count: int) -> None:
    proposed = [ProposedContext(2 * number + 1, f"{CT}.{number}", (EXPLICIT, IMPLICIT)) for number in range(count)]
    encoded = request(proposed, called_ae="ARCHIVE", calling_ae="THE GATEWAY 1234", max_pdu_bytes=65_536)
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(encoded)
    asked = pdu.to_primitive()
    assert (asked.called_ae_title.strip(), asked.calling_ae_title.strip()) == ("ARCHIVE", "THE GATEWAY 1234")
    assert asked.application_context_name == "1.2.840.10008.3.1.1.1"
    assert asked.maximum_length_received == 65_536
    assert asked.implementation_class_uid is not None
    found = [
        ProposedContext(one.context_id or 0, str(one.abstract_syntax), tuple(map(str, one.transfer_syntax)))
        for one in asked.presentation_context_definition_list
    ]
    assert found == proposed
    assert parse_request(encoded[6:]).contexts == tuple(proposed)


def test_an_acceptance_is_read_as_it_was_written() -> None:
    asked = parse_request(FIXED + APPLICATION + PROPOSED)
    answered = [
        AnsweredContext(1, ContextResult.ACCEPTANCE, CT, EXPLICIT),
        AnsweredContext(3, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, "1.2.3", IMPLICIT),
    ]
    found = parse_acceptance(acceptance(asked, answered, max_pdu_bytes=4096)[6:])
    assert (found.contexts, found.max_pdu_bytes) == ({1: (0, EXPLICIT), 3: (3, IMPLICIT)}, 4096)


@pytest.mark.parametrize(
    ("body", "contexts"),
    [
        (FIXED, {}),  # nothing is accepted, and no length is told
        (FIXED + item(0x21, bytes((1, 0, 3, 0))), {1: (3, "")}),  # a refusal without its transfer syntax
        (FIXED + item(0x21, b"\1\0\0\0" + item(0x40, EXPLICIT.encode() + b"\0")), {1: (0, EXPLICIT)}),  # padded
        (FIXED + item(0x99, b"?"), {}),
    ],
)
def test_odd_acceptances(body: bytes, contexts: dict[int, tuple[int, str]]) -> None:
    assert parse_acceptance(body).contexts == contexts


@pytest.mark.parametrize(
    "body", [b"", FIXED[:-1], FIXED + item(0x21, b"\1"), FIXED + b"\x21\0\0", FIXED + PROPOSED[:-1]]
)
def test_acceptances_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="cut off"):
        parse_acceptance(body)


@pytest.mark.parametrize(("accepted", "found"), [(frozenset({CT}), {CT: (True, True)}), (frozenset(), {})])
def test_roles_are_accepted_where_they_may_be(accepted: frozenset[str], found: dict[str, tuple[bool, bool]]) -> None:
    role = item(0x54, len(CT).to_bytes(2, "big") + CT.encode() + b"\1\1")
    asked = parse_request(FIXED + APPLICATION + PROPOSED + item(0x50, item(0x51, b"\0\0\x40\0") + role))
    answered = [AnsweredContext(1, ContextResult.ACCEPTANCE, CT, EXPLICIT)]
    pdu = A_ASSOCIATE_AC()
    pdu.decode(acceptance(asked, answered, max_pdu_bytes=0, roles=accepted))
    assert pdu.user_information is not None
    assert {uid: (one.scu_role, one.scp_role) for uid, one in pdu.user_information.role_selection.items()} == found


def test_pynetdicom_reads_the_requests_of_this_file() -> None:
    pdu = A_ASSOCIATE_RQ()
    body = FIXED + APPLICATION + PROPOSED + item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"2.25.1"))
    pdu.decode(struct.pack(">BBI", 1, 0, len(body)) + body)
    assert pdu.calling_ae_title.strip() == "PEER"
