"""Pictures and documents inside an instance."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from gateway.pixels.embedded import embedded_in
from tests.unit.deid.profiles import item, opened, stored
from tests.unit.pixels.test_risk import CT, PDF, image


def icon(**values: object) -> Dataset:
    dataset = item(Rows=2, Columns=2)
    dataset.add_new(0x7FE00010, "OB", values.get("content", bytes(4)))
    return dataset


def private(content: bytes, vr: str = "OB") -> Dataset:
    dataset = image(CT)
    dataset.private_block(0x0029, "ACME", create=True).add_new(0x10, vr, content)
    return dataset


def document(content: bytes) -> Dataset:
    dataset = image(PDF, pixels=False)
    dataset.EncapsulatedDocument = content
    return dataset


@pytest.mark.parametrize(
    ("dataset", "found"),
    [
        # the image itself is none of them
        (image(CT), []),
        (image(CT, IconImageSequence=[icon()]), [("picture", "(0088,0200)/(7FE0,0010)")]),
        # without a value there is no picture
        (image(CT, IconImageSequence=[icon(content=b"")]), []),
        (document(b"%PDF-1.4"), [("document", "(0042,0011)")]),
        (document(b""), []),
        # private values: by what they begin with, or by size
        (private(b"\xff\xd8\xff\xe0"), [("private", "(0029,1010)")]),
        (private(b"\x89PNG\r\n"), [("private", "(0029,1010)")]),
        (private(bytes(128) + b"DICM"), [("private", "(0029,1010)")]),
        (private(bytes(4096), "UN"), [("private", "(0029,1010)")]),
        (private(bytes(4094)), []),
        # texts are for the leak scan
        (private("x" * 5000, "UT"), []),  # type: ignore[arg-type]
    ],
)
def test_found(tmp_path: Path, dataset: Dataset, found: list[tuple[str, str]]) -> None:
    with opened(stored(tmp_path, dataset)) as instance:
        embedded = list(embedded_in(instance.buffer, instance.elements))
    assert [(one.kind, str(one)) for one in embedded] == found
    assert [bool(one.digest) for one in embedded] == [kind == "document" for kind, _ in found]


def test_documents_differ_by_content(tmp_path: Path) -> None:
    digests: set[str] = set()
    for number, content in enumerate((b"%PDF-1.4", b"%PDF-1.5")):
        folder = tmp_path / str(number)
        folder.mkdir()
        with opened(stored(folder, document(content))) as instance:
            digests.update(one.digest for one in embedded_in(instance.buffer, instance.elements))
    assert len(digests) == 2
