"""What was walked before changes the time that a walk takes, and nothing else."""

from __future__ import annotations

import random
import tracemalloc
from struct import pack

import pytest

from gateway.dicom.encoded import Familiar, Form, Limits, Survey, index, survey
from gateway.errors import GatewayError, LimitExceeded
from tests.unit.dicom.encoding import explicit, implicit, item, sequence

Outcome = tuple[object, ...]


def text(length: int, choose: random.Random) -> bytes:
    """Text of up to ``length`` letters, padded."""
    value = bytes(choose.choices(b"ABC 123", k=choose.randint(0, length)))
    return value + b" " * (len(value) % 2)


def instances(number: int, *, seed: int = 4) -> list[bytes]:
    """Data sets of a few series: most elements are equal, a few differ, and some are there now and then."""
    choose = random.Random(seed)
    found = []
    for count in range(number):
        series = choose.randint(0, 2)
        nested = item(explicit(0x00081150, "UI", b"1.2.3\0") + explicit(0x00081155, "UI", b"1.2.%d" % (10 + series)))
        elements = [
            explicit(0x00080005, "CS", b"ISO_IR 100"),
            explicit(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
            explicit(0x00080018, "UI", b"1.2.3.%04d" % count),
            explicit(0x00080060, "CS", b"CT"),
            explicit(0x00080070, "LO", b"ACME" + b"%d " % series),
            explicit(0x00080080, "LO", text(20, choose)),
            sequence(0x00081140, *[nested] * choose.randint(1, 2), undefined=bool(series)),
            explicit(0x00090010, "LO", b"ACME HEADER 1 "),
            explicit(0x00091001, choose.choice(["DS", "LO"]), b"%d   " % (count % 4)),
            # Items in VR UN, implicit VR, which the next element's bytes may help to tell (PS3.5 6.2.2).
            explicit(0x00091002, "UN", choose.choice([item(b""), item(implicit(0x00080100, b"T1"))])),
            choose.choice([sequence(0x00091004, nested), explicit(0x00091004, "LO", b"T1")]),
            explicit(0x00091005, "OB", bytes(choose.choice([4, 64, 2000]))),
            explicit(0x00100010, "PN", b"GARCIA^MARIA" + b" A" * series),
            explicit(0x00100020, "LO", b"4711  "),
            *[explicit(0x00180050 + 2 * place, "DS", b"%d.5" % (10 + place)) for place in range(20)],
            explicit(0x00200013, "IS", b"%04d" % count),
            explicit(0x00280010, "US", pack("<H", 512)),
            explicit(0x00280011, "US", pack("<H", 512)),
            explicit(0x00280100, "US", pack("<H", 16)),
            explicit(0x00280101, "US", pack("<H", 12)),
            explicit(0x7FE00010, "OW", bytes(64)),
        ]
        if choose.random() < 0.2:
            del elements[choose.randrange(len(elements))]
        if choose.random() < 0.1:
            one, two = sorted(choose.sample(range(len(elements)), 2))
            elements[one], elements[two] = elements[two], elements[one]
        found.append(bytes(choose.choice([0, 2, 130])) + b"".join(elements))
    return found


def start_of(data: bytes) -> int:
    """Where a data set of ``instances`` begins."""
    return len(data) - len(data.lstrip(b"\0"))


def outcome(data: bytes, familiar: Familiar | None, *, is_implicit: bool = False) -> Outcome:
    """The tree, or the error."""
    try:
        return ("read", index(data, start_of(data), len(data), implicit=is_implicit, familiar=familiar))
    except GatewayError as error:
        return (type(error), error.message)


def checked(data: bytes, familiar: Familiar, *, is_implicit: bool = False) -> Survey:
    """The survey with its parts and make compared with its elements."""
    found = survey(data, start_of(data), len(data), implicit=is_implicit, familiar=familiar)
    assert [element for _, elements in found.parts for element in elements] == found.elements
    for raw, elements in found.parts:
        assert not raw or raw == data[elements[0][2] : elements[-1][4]]
    assert (found.make is None) == (
        [element[2] for element in found.elements] != sorted(element[2] for element in found.elements)
    )
    return found


def test_familiar_walks_are_walks() -> None:
    familiar, makes = Familiar(), dict[object, object]()
    known = 0
    for data in instances(300):
        expected = index(data, start_of(data), len(data))
        found = checked(data, familiar)
        assert found.elements == expected
        known += sum(len(elements) for raw, elements in found.parts if raw)
        if found.make is not None:
            # Data sets of one make have the same elements.
            tags = [(element[0], element[5] is not None) for element in expected]
            assert makes.setdefault(found.make, tags) == tags
    assert known > 300 * 15
    assert len(makes) > 20


def test_implicit_and_explicit_are_told_apart() -> None:
    """The same bytes mean one element in implicit VR and another in explicit VR."""
    familiar = Familiar()
    data = b"".join(explicit(0x00180050 + 2 * place, "DS", b"12") for place in range(8))
    ambiguous = data.replace(b"DS\2\0", b"DS\0\0")
    for _ in range(3):
        for one in (data, ambiguous):
            for is_implicit in (False, True):
                assert outcome(one, familiar, is_implicit=is_implicit) == outcome(one, None, is_implicit=is_implicit)


def test_one_changed_byte_at_each_place() -> None:
    familiar = Familiar()
    first, *others = instances(12, seed=5)
    for data in (first, *others, first):
        outcome(data, familiar)
    for place in range(start_of(first), len(first)):
        for changed in (first[place] ^ 1, first[place] ^ 0x80):
            data = first[:place] + bytes((changed,)) + first[place + 1 :]
            assert outcome(data, familiar) == outcome(data, None), place


def test_unknown_sequences_are_walked_each_time() -> None:
    """How an empty item in VR UN is encoded is guessed by what follows, which is another thing every time."""
    familiar = Familiar()
    run = [explicit(0x00080060, "CS", b"CT"), explicit(0x00080070, "LO", b"ACME INCORPORATED ")]
    data = b"".join((*run, explicit(0x00081140, "UN", item(b""))))
    for one in (data, data + explicit(0x00082111, "ST", b"T1"), data):
        assert outcome(one, familiar) == outcome(one, None)


def test_cut_off_at_each_place() -> None:
    """A run is taken only where all of it lies before the end."""
    familiar = Familiar()
    data = instances(1, seed=6)[0]
    start = start_of(data)
    outcome(data, familiar)
    for stop in range(start, len(data)):

        def cut(familiar: Familiar | None, stop: int = stop) -> Outcome:
            try:
                return ("read", index(data, start, stop, familiar=familiar))
            except GatewayError as error:
                return (type(error), error.message)

        assert cut(familiar) == cut(None), stop


def test_what_changes_every_time_is_left_between_the_runs() -> None:
    familiar = Familiar()
    for number in range(40):
        data = b"".join(
            (
                *(explicit(0x00180050 + 2 * place, "DS", b"12.5") for place in range(10)),
                explicit(0x00180080, "DS", b"%04d" % number),
                *(explicit(0x00180090 + 2 * place, "DS", b"12.5") for place in range(10)),
            )
        )
        found = checked(data, familiar)
    assert [(bool(raw), len(elements)) for raw, elements in found.parts] == [(True, 10), (False, 1), (True, 10)]


def test_what_comes_for_the_first_time_has_the_make_of_what_is_known() -> None:
    """So that the first instance of a series needs no layout of its own."""
    familiar = Familiar()
    [one, two] = [
        b"".join(explicit(0x00180050 + 2 * place, "DS", value) for place in range(10)) for value in (b"12.5", b"13.5")
    ]
    makes = [checked(data, familiar).make for data in (one, one, two, two)]
    assert len(set(makes)) == 1


@pytest.mark.parametrize("form", [Form.BIG_ENDIAN, Form.MIXED])
def test_other_forms_are_not_familiar(form: Form) -> None:
    familiar = Familiar()
    order = ">" if form is Form.BIG_ENDIAN else "<"
    data = b"".join(explicit(0x00180050 + 2 * place, "DS", b"12.5", order=order) for place in range(10))
    for _ in range(3):
        found = survey(data, 0, len(data), form=form, familiar=familiar)
        assert (len(found.elements), [raw for raw, _ in found.parts], found.make) == (10, [b""], None)


def test_limits_hold_for_what_is_familiar() -> None:
    familiar = Familiar()
    deep = b""
    for _ in range(4):
        deep = sequence(0x00081140, item(deep + explicit(0x00081150, "UI", b"1.2.3\0")))
    data = explicit(0x00080060, "CS", b"CT") + deep + explicit(0x00081150, "UI", b"1.2.3\0")
    for _ in range(3):
        assert index(data, 0, len(data), familiar=familiar) == index(data, 0, len(data))
        with pytest.raises(LimitExceeded, match="nested"):
            index(data, 0, len(data), limits=Limits(depth=3), familiar=familiar)
        # 3 elements, and 4 items with 7 elements below them.
        with pytest.raises(LimitExceeded, match="elements"):
            index(data, 0, len(data), limits=Limits(elements=13), familiar=familiar)
        assert index(data, 0, len(data), limits=Limits(elements=14), familiar=familiar)


def test_p8_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.dicom.runs._MOST_BYTES", 1 << 20)
    familiar = Familiar()
    choose = random.Random(7)
    most = 0
    tracemalloc.start()
    try:
        for _ in range(100):
            data = b"".join(
                explicit(0x00180050 + 2 * place, "LO", b"%08d" % choose.randrange(10**8)) for place in range(100)
            )
            index(data, 0, len(data), familiar=familiar)
            heads = len(familiar.runs(Limits(), implicit=False).heads)
            most = max(most, heads)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # It forgot the oldest of what it had, and had not more than it may.
    assert 20 < most < 100
    assert heads > 20
    runs = familiar.runs(Limits(), implicit=False)
    assert runs._bytes == sum(run.held_bytes for run in runs._known.values()) <= 1 << 20
    assert {id(head.latest) for head in runs.heads.values()} <= {id(run) for run in runs._known.values()}
    assert peak < 3 << 19


def test_what_is_between_changing_elements_is_known_again_when_all_was_forgotten() -> None:
    """That nothing is to be learned of a stretch holds as long as what is known to change in it."""
    runs = Familiar().runs(Limits(), implicit=False)
    tags = (0x00080013, 0x00080016, 0x00080018)
    data = b"".join(explicit(tag, "UI", b"1.2.840.10008\0") for tag in tags)
    elements = index(data, 0, len(data))
    runs.volatile.update((tags[0], tags[2]))
    assert runs.learn(data, elements, list(tags)) == (list(tags), [(b"", elements)])
    assert runs.settled == {tags}
    assert not runs.heads
    runs._forget()
    assert runs.learn(data, elements, list(tags)) != (list(tags), [(b"", elements)])
    assert runs.heads
