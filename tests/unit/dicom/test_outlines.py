"""A data set that has a known outline is read as if it had been walked."""

from __future__ import annotations

from struct import pack

import pytest

from gateway.dicom.encoded import Familiar, Limits, index, survey
from gateway.errors import GatewayError, LimitExceeded
from tests.unit.dicom.encoding import explicit, implicit, item, sequence

#: Instances of a series after which what changes in it is known.
SERIES = 12


def instance(number: int, *, last: bytes = b"", middle: bytes = b"") -> bytes:
    """An instance of a series: five values change, of which two are neighbours."""
    nested = sequence(0x00081140, item(explicit(0x00081150, "UI", b"1.2.3\0")))
    return b"".join(
        (
            explicit(0x00080005, "CS", b"ISO_IR 100"),
            explicit(0x00080018, "UI", b"1.2.3.%04d" % number),
            explicit(0x00080060, "CS", b"CT"),
            explicit(0x00080070, "LO", b"ACME INCORPORATED "),
            nested,
            explicit(0x00100010, "PN", b"GARCIA^MARIA"),
            explicit(0x00100020, "LO", b"4711  "),
            *[explicit(0x00180050 + 2 * place, "DS", b"%d.5" % (10 + place)) for place in range(10)],
            explicit(0x00200013, "IS", b"%04d" % number),
            explicit(0x00200032, "DS", b"%04d" % (number * 7)),
            middle or explicit(0x00280010, "US", pack("<H", 512 + number)),
            last or explicit(0x7FE00010, "OW", pack("<4H", *[number] * 4)),
        )
    )


def known(data: bytes, familiar: Familiar, *, limits: Limits | None = None) -> bool:
    """Whether the data set has an outline that is known."""
    limits = limits or Limits()
    outlines = familiar.runs(limits, implicit=False).outlines
    return outlines.find(data, 0, len(data), most=limits.elements) is not None


def series(**more: bytes) -> Familiar:
    """What is familiar after a series."""
    familiar = Familiar()
    for number in range(SERIES):
        data = instance(number, **more)
        assert index(data, 0, len(data), familiar=familiar) == index(data, 0, len(data)), number
    return familiar


def test_the_instances_of_a_series_have_one_outline() -> None:
    familiar = series()
    one, other = (instance(number) for number in (SERIES, SERIES + 1))
    assert known(one, familiar)
    found = survey(one, 0, len(one), familiar=familiar)
    assert found is survey(other, 0, len(other), familiar=familiar)
    assert found.elements == index(other, 0, len(other))
    assert found.runs == tuple(raw for raw, _ in found.parts if raw)
    assert all(raw in other for raw in found.runs)


def test_one_changed_byte_at_each_place() -> None:
    familiar = series()
    data = instance(SERIES)
    taken = 0
    for place in range(len(data)):
        for bit in (1, 0x80):
            changed = data[:place] + bytes((data[place] ^ bit,)) + data[place + 1 :]
            taken += known(changed, familiar)
            for familiarity in (familiar, None):
                try:
                    found = index(changed, 0, len(changed), familiar=familiarity)
                except GatewayError as error:
                    found = [error.message]  # type: ignore[list-item]
                if familiarity is not None:
                    expected = found
            assert found == expected, place
    # It was taken for another one of the series where a value between the runs was changed.
    between = [
        one for raw, elements in survey(data, 0, len(data), familiar=familiar).parts if not raw for one in elements
    ]
    assert {0x00080018, 0x00200013, 0x00200032, 0x00280010, 0x7FE00010} <= {one[0] for one in between}
    assert taken >= 2 * sum(end - value for _tag, _vr, _start, value, end, _items in between)


@pytest.mark.parametrize(
    "more",
    [
        # How items in VR UN are encoded may be told by the bytes that follow.
        {"middle": explicit(0x00283000, "UN", item(b"") + item(b""))},
        # Where encapsulated pixel data ends is told by its fragments.
        {"last": explicit(0x7FE00010, "OB", b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0", length=0xFFFFFFFF)},
        # Zeros behind the last element are no element.
        {"last": explicit(0x7FE00010, "OW", bytes(8)) + bytes(16)},
        # Implicit VR inside VR UN.
        {"middle": explicit(0x00283000, "UN", item(implicit(0x00080100, b"T1")))},
    ],
)
def test_what_is_not_told_by_headers_is_walked_each_time(more: dict[str, bytes]) -> None:
    familiar = series(**more)
    assert not known(instance(1, **more), familiar)


def test_limits_hold_for_what_has_an_outline() -> None:
    """22 elements, an item and the element in it."""
    familiar = series()
    data = instance(SERIES)
    count = len(index(data, 0, len(data))) + 2
    assert known(data, familiar, limits=Limits(elements=count))
    assert not known(data, familiar, limits=Limits(elements=count - 1))
    with pytest.raises(LimitExceeded, match="elements"):
        index(data, 0, len(data), limits=Limits(elements=count - 1), familiar=familiar)


def test_p8_outlines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.dicom.outlines._MOST_BYTES", 100_000)
    familiar = series()
    outlines = familiar.runs(Limits(), implicit=False).outlines
    for length in range(2, 200, 2):
        for number in range(3):
            data = instance(number, last=explicit(0x7FE00010, "OW", bytes(length)))
            index(data, 0, len(data), familiar=familiar)
        assert known(data, familiar)
    held = sum(one.held_bytes for alike in outlines._known.values() for one in alike)
    assert 50_000 < held == outlines._bytes <= 100_000
