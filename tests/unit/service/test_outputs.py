"""What has waited for long goes out only if its original is still what was received."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.dicom.file_meta import FileMeta
from gateway.dicom.segments import FileRange
from gateway.ledger import DeliveryState
from gateway.service.outputs import OutputLost, Outputs
from gateway.settings.configuration import Settings
from gateway.treatment.resources import open_spool

CONTENT = bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("waited", "state", "refers", "goes"),
    [
        (timedelta(days=2), DeliveryState.PENDING, True, False),  # an outage over a weekend
        (timedelta(days=2), DeliveryState.FAILED, True, False),
        (timedelta(days=2), DeliveryState.SENT, True, True),  # it has gone; the destination is asked for it
        (timedelta(days=2), DeliveryState.PENDING, False, True),  # nothing of the original is in it
        (timedelta(minutes=2), DeliveryState.PENDING, True, True),  # it was compared a moment ago
    ],
)
@pytest.mark.parametrize("damaged", [False, True])
def test_p2_what_has_rotted_while_it_waited(
    tmp_path: Path, waited: timedelta, state: DeliveryState, refers: bool, goes: bool, damaged: bool
) -> None:
    settings = Settings.model_validate({"data": tmp_path, "storage": {"reserve_bytes": 0, "durability": "none"}})
    spool = open_spool(settings)
    meta = FileMeta(
        transfer_syntax="1.2.840.10008.1.2.1", sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_instance_uid="1.2.3"
    )  # fmt: skip
    with spool.incoming(meta) as incoming:
        incoming.write([CONTENT])
        record = incoming.commit(source="pacs", peer_address="192.0.2.7")
    path = spool.path(record.name)
    spool.write_output(record.name, [b"header", FileRange(path, record.offset, 1000) if refers else CONTENT[:1000]])
    if damaged:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    claim: Any = SimpleNamespace(
        instance_id=1, project="default", profile_digest="x", spool_name=record.name, state=state,
        received_at=datetime.now(UTC) - waited,
    )  # fmt: skip
    outputs = Outputs(settings, {}, None)  # type: ignore[arg-type]
    if goes or not damaged:
        assert outputs.open(claim).length == 1006
    else:
        with pytest.raises(OutputLost, match="its original is damaged"):
            outputs.open(claim)
