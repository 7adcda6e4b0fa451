"""Sending samples to real peers: dcmtk's storescp takes them, a closed port and a refusing peer are reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydicom.uid import CTImageStorage
from pynetdicom import AE, evt

from gateway.samples.sample_study import Sample, generate
from gateway.samples.send import SendReport, Sent, send
from tests.fixtures.dcmtk import StoreScp
from tests.fixtures.ports import free_port


def data_set(content: bytes) -> bytes:
    """The bytes behind the file meta information, whose length its first element tells."""
    return content[144 + int.from_bytes(content[140:144], "little") :]


def send_to(port: int, samples: list[Sample]) -> SendReport:
    return send(samples, host="127.0.0.1", port=port, calling_ae="SAMPLES", called_ae="ARCHIVE")


def test_data_sets_arrive_as_encoded(store_scp: StoreScp) -> None:
    samples = list(generate(5, "SEND"))
    report = send_to(store_scp.port, samples)
    assert [one.status for one in report.sent] == [0] * len(samples)
    assert report.taken == tuple(samples)
    received = sorted(data_set(path.read_bytes()) for path in store_scp.folder.iterdir())
    assert received == sorted(data_set(sample.content) for sample in samples)


def test_nobody_listens() -> None:
    samples = list(generate(5, "SEND", studies=1))
    report = send_to(free_port(), samples)
    assert {(one.status, one.problem) for one in report.refused} == {(None, "no association")}
    assert len(report.refused) == len(samples)


@contextmanager
def peer(entity: AE, status: int) -> Iterator[int]:
    """A storage SCP that answers every instance with ``status``: its port."""
    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, lambda _: status)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()


def test_peer_that_refuses() -> None:
    entity = AE()
    entity.add_supported_context(CTImageStorage)
    with peer(entity, 0xA700) as port:
        report = send_to(port, list(generate(5, "SEND", studies=1)))
    by_title = {one.sample.title: (one.status, one.problem) for one in report.refused}
    unknown = "the peer does not accept its SOP class in its transfer syntax"
    assert by_title["CT, explicit VR"] == (0xA700, "")
    assert by_title["CT, RLE"] == (None, unknown)
    assert by_title["SR, explicit VR"] == (None, unknown)
    assert report.taken == ()


def test_peer_that_rejects_us() -> None:
    entity = AE(ae_title="OTHER")
    entity.require_called_aet = True
    entity.add_supported_context(CTImageStorage)
    with peer(entity, 0x0000) as port:
        report = send_to(port, list(generate(5, "SEND", studies=1)))
    assert {one.problem for one in report.refused} == {"the association was rejected"}


@pytest.mark.parametrize(
    ("status", "taken"),
    [
        (0x0000, True),
        (0xB000, True),  # warning: coerced
        (0xB006, True),  # warning: elements discarded
        (0xA700, False),  # out of resources
        (0xC000, False),
        (None, False),  # no answer
    ],
)
def test_what_counts_as_taken(status: int | None, taken: bool) -> None:
    sample = next(iter(generate(5, "SEND", studies=1)))
    assert Sent(sample, status).taken is taken
