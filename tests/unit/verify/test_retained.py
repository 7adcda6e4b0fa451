"""What retained UIDs tell."""

from __future__ import annotations

import pytest

from gateway.dicom.identifying import Kind
from gateway.verify.needles import needles
from gateway.verify.retained_uids import kinds_in_uid

WANTED = frozenset(
    [
        *needles(Kind.ID, "HC-7391846"),
        *needles(Kind.ID, "RX2024001882"),
        *needles(Kind.DATE, "20220711"),
        *needles(Kind.BIRTH_DATE, "19310427"),
        *needles(Kind.DEVICE, "67093000"),
        *needles(Kind.ID, "4711"),
        *needles(Kind.ID, "20240229101512"),
    ]
)


@pytest.mark.parametrize(
    ("uid", "kinds"),
    [
        ("1.2.276.7391846.1", ["id"]),  # a component
        ("1.2.276.73918460001", ["id"]),  # its beginning
        ("1.2.276.17391846", ["id"]),  # its end
        ("1.2.276.992024001882.5", ["id"]),  # eight digits and more anywhere
        ("1.3.12.2.1107.5.2.43.1.2022071112123519908834529", ["date"]),  # the time of making
        ("1.3.12.2.1107.5.1.4.1.30000022071112123519900000001", ["date"]),  # as Siemens syngo writes it
        ("1.2.276.2022.7.11.3", ["date"]),  # three components
        ("1.2.276.2022.07.11.3", ["date"]),
        ("1.2.276.19310427", ["birth-date"]),
        ("1.2.276.7391846.20220711", ["date", "id"]),  # two kinds
        ("1.2.276.173918461", []),  # seven digits inside a component: chance
        ("1.2.276.67093000.1", []),  # the machine's own number
        ("1.2.276.20240229101512", ["date"]),  # the time at which a machine made an identifier
        ("1.2.276.4711", []),  # too short to tell
        ("1.2.276.120220711", []),  # not at the beginning of a component
        ("2.25.329800735698586629295641978511506172918", []),  # a UUID
    ],
)
def test_kinds_in_uid(uid: str, kinds: list[str]) -> None:
    assert [str(kind) for kind in kinds_in_uid(uid, WANTED)] == kinds
