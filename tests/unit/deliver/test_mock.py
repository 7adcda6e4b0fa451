from __future__ import annotations

from pathlib import Path

from gateway.deliver.base import Destination, Outcome, Parcel
from gateway.deliver.mock import MockDestination
from tests.unit.deliver.peers import content_of, make_parcel


def test_answers_by_script_then_confirms(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number) for number in range(4)]

    def busy(parcel: Parcel) -> Outcome:
        return Outcome(parcel.delivery_id, "failed", "busy", retry_after=3.0)

    mock = MockDestination("archive", script=["dead", busy])
    outcomes = mock.send(parcels[:3]) + mock.send(parcels[3:])
    assert [(outcome.delivery_id, outcome.state) for outcome in outcomes] == [
        (0, "dead"),
        (1, "failed"),
        (2, "confirmed"),
        (3, "confirmed"),
    ]
    assert outcomes[1].retry_after == 3.0
    assert mock.name == "archive"


def test_records_what_it_was_given(tmp_path: Path) -> None:
    parcels = [make_parcel(tmp_path, number) for number in range(3)]
    mock = MockDestination(script=["confirmed", "failed"])
    mock.send(parcels)
    assert mock.batches == [tuple(parcels)]
    assert mock.parcels == parcels
    assert mock.content == {parcels[n].sop_uid: [content_of(parcels[n])] for n in (0, 2)}
    mock.close()
    assert mock.closed


def test_is_a_destination() -> None:
    assert isinstance(MockDestination(), Destination)
