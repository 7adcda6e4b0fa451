"""Promise P4: the whole gateway against an archive that lies, falls silent, breaks off and is busy.

An instance is confirmed when the archive really has it, and not before; each is delivered in the end, and no person is
needed.
"""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from gateway.ledger import DeliveryState, Ledger
from gateway.treatment.receipt_chain import verify_chains
from tests.faults.archive import (
    Archive,
    Lie,
    breaks_off,
    claims_all_and_keeps_nothing,
    is_busy,
    is_slow,
    keeps_half,
    keeps_one_and_is_silent,
    lists_all_as_failed,
    says_nothing,
)
from tests.faults.books import SUCCESS, Books, Sender
from tests.fixtures.gateway import gateway_server
from tests.fixtures.ports import wait_until
from tests.unit.deliver.peers import Peer

COUNT: Final = 12
LIES: Final[tuple[Lie, ...]] = (
    lists_all_as_failed,
    keeps_half,
    says_nothing,
    keeps_one_and_is_silent,
    # On the connection that was kept, and on the one that replaces it: then each instance goes alone.
    breaks_off,
    breaks_off,
    is_busy,
    is_slow,
)
CODES: Final = {"busy", "rejected", "answer-empty", "timeout"}
_FAILED: Final = re.compile(
    r"(?:delivery finished .*?code=(?P<of_one>\S+).*? state=failed|destination down .*?code=(?P<of_all>\S+))"
)


@pytest.mark.parametrize(
    ("confirm", "lies", "codes"),
    [
        # The archive's own word confirms.
        ("response", LIES, CODES),
        # Its word is not enough: it is asked whether it has what it says to have stored.
        ("qido", (claims_all_and_keeps_nothing, *LIES), CODES | {"not-found"}),
    ],
)
def test_p4_a_lying_archive_has_what_is_confirmed(
    tmp_path: Path, confirm: str, lies: tuple[Lie, ...], codes: set[str]
) -> None:
    archive = Archive(*lies)
    with Peer(archive) as peer:
        configuration = f"""
destinations:
  archive:
    type: dicomweb
    url: "{peer.url}"
    connections: 1
    timeout_seconds: 1.5
    confirm: {confirm}
    confirm_seconds: 0.5
workers: {{deidentify: 1}}
retry: {{first_seconds: 0.1, longest_seconds: 0.3}}
"""
        url = f"sqlite:///{tmp_path}/data/ledger.sqlite3"
        with (
            gateway_server(tmp_path, configuration=configuration) as running,
            Ledger.open(url) as ledger,
            closing(Books(url)) as books,
        ):
            archive.confirmed = lambda: confirmed_outputs(ledger)
            assert Sender(running).send(COUNT) == [SUCCESS] * COUNT
            # All are waiting before the first lie is told, so that there is much to lie about.
            wait_until(lambda: books.count("deidentified") == COUNT, what="all are de-identified")
            archive.opened.set()
            books.settled(COUNT)
            # At no moment was anything confirmed that the archive did not have; in the end all is, and nothing else.
            assert archive.unfounded == set()
            assert confirmed_outputs(ledger) == archive.digests
            receipts = list(ledger.receipts.read())
            assert len({receipt.delivery_id for receipt in receipts}) == len(receipts) == COUNT
            assert list(verify_chains(receipts, ledger.receipts.chains())) == []
            status = ledger.figures.status()
            assert status.delivery_count(DeliveryState.CONFIRMED) == COUNT
            assert status.delivery_count(DeliveryState.DEAD) == 0
            output = running.process.output
    assert archive.told == [lie.__name__ for lie in lies]
    assert len(archive.stored) == COUNT
    assert not any(b"FAULTTEST" in content for content in archive.stored.values())
    # Every lie was recognised as what it is.
    assert codes <= {found["of_one"] or found["of_all"] for found in _FAILED.finditer(output)}


def confirmed_outputs(ledger: Ledger) -> set[str]:
    """SHA-256 of the outputs of all receipts."""
    return {json.loads(receipt.document)["output"]["sha256"] for receipt in ledger.receipts.read()}
