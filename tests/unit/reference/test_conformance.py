"""The conformance statement: current, and true of the code where it lists what the code knows."""

from __future__ import annotations

from pathlib import Path

from gateway.association.command_set import Status
from gateway.association.refusal import Refusal
from gateway.deliver.dicom_node.store_status import STORE_STATUSES
from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES
from gateway.reference.conformance import conformance_statement

ROOT = Path(__file__).parents[3]


def test_the_page_is_current() -> None:
    page = ROOT / "docs" / "reference" / "conformance-statement.md"
    assert page.read_text(encoding="utf-8") == conformance_statement(), "run scripts/generate-docs"


def test_it_lists_all_that_is_accepted_and_answered() -> None:
    text = conformance_statement()
    lines = {line.replace("`", "") for line in text.splitlines()}
    assert {f"| {name} | {uid} |" for uid, name in STORAGE_SOP_CLASSES.items()} <= lines
    assert {f"| {one.name} | {uid} |" for uid, one in TRANSFER_SYNTAXES.items()} <= lines
    for status in Status:
        assert f"| `{status:04X}` |" in text
    for row in STORE_STATUSES:
        assert f"| `{row.value:04X}` | `{row.mask:04X}` | {row.meaning} |" in text
    # A connection that is closed at once gets no answer.
    for refusal in Refusal:
        assert not refusal.answer[0] or f"| {', '.join(map(str, refusal.answer))} |" in text
