"""The walk over encoded elements: what it yields, and that hostile bytes cannot hurt it (promise P7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.dicom.encoded import Element, Form, Limits, find, index, walk
from gateway.dicom.file_meta import read_file_meta
from gateway.errors import (
    ConfigurationError,
    DuplicateElement,
    GatewayError,
    IrregularEncoding,
    LimitExceeded,
    MalformedDataSet,
    OddLength,
    TruncatedDataSet,
    UnsupportedEncoding,
)
from tests.unit.dicom.encoding import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    explicit,
    implicit,
    item,
    sequence,
)

CODE, IMAGES, REFERENCED, PURPOSE = 0x00080104, 0x00081140, 0x00081155, 0x0040A170
PATIENT_NAME, PATIENT_ID, ICON, PIXELS = 0x00100010, 0x00100020, 0x00880200, 0x7FE00010
PRIVATE = 0x00091001

NAME = explicit(PATIENT_NAME, "PN", b"DOE^JANE")
UID = explicit(REFERENCED, "UI", b"1.2.3\0")
IMPLICIT_UID = implicit(REFERENCED, b"1.2.3\0")
FRAGMENTS = implicit(ITEM) + implicit(ITEM, b"\xff\xd8\xff\xd9") + SEQUENCE_END
ENCAPSULATED = explicit(PIXELS, "OB", FRAGMENTS, length=UNDEFINED)


def tags(data: bytes, **options: Any) -> list[tuple[tuple[int, ...], int]]:
    return [(path, element[0]) for path, element in walk(index(data, 0, len(data), **options))]


READ = {
    # sequences and items, each of defined and of undefined length
    "defined": sequence(IMAGES, item(UID)),
    "undefined item": sequence(IMAGES, item(UID, undefined=True)),
    "undefined sequence": sequence(IMAGES, item(UID), undefined=True),
    "undefined both": sequence(IMAGES, item(UID, undefined=True), undefined=True),
    # PS3.5 6.2.2: a sequence under UN is implicit
    "UN undefined": sequence(IMAGES, item(IMPLICIT_UID), vr="UN", undefined=True),
    "UN undefined both": sequence(IMAGES, item(IMPLICIT_UID, undefined=True), vr="UN", undefined=True),
    "UN defined": sequence(IMAGES, item(IMPLICIT_UID), vr="UN"),
    # though some writers leave it explicit
    "UN explicit": sequence(IMAGES, item(UID), vr="UN"),
    "UN explicit undefined": sequence(IMAGES, item(UID, undefined=True), vr="UN", undefined=True),
}


@pytest.mark.parametrize("data", READ.values(), ids=READ)
def test_a_sequence_shows_its_items_however_it_is_encoded(data: bytes) -> None:
    assert tags(data + NAME) == [((), IMAGES), ((IMAGES,), REFERENCED), ((), PATIENT_NAME)]
    elements = index(data + NAME, 0, len(data + NAME))
    items = elements[0][5]
    assert items is not None
    _, _, _, value, end, _ = items[0][4][0]
    assert (data + NAME)[value:end] == b"1.2.3\0"
    assert elements[0][4] == elements[1][2] == len(data)


def test_the_encoding_of_an_item_is_told() -> None:
    for name, data in READ.items():
        items = index(data, 0, len(data))[0][5]
        assert items is not None
        assert items[0][3] is (name.startswith("UN") and "explicit" not in name)


def test_positions_of_an_element() -> None:
    data = NAME + explicit(0x00080005, "CS", b"ISO_IR 192") + explicit(0x00420011, "OB", b"%PDF")
    assert index(data, 0, len(data)) == [
        (0x00080005, b"CS", 16, 24, 34, None),
        (PATIENT_NAME, b"PN", 0, 8, 16, None),
        (0x00420011, b"OB", 34, 46, 50, None),
    ]


def test_implicit_elements_take_their_vr_from_the_dictionary() -> None:
    data = implicit(IMAGES, item(IMPLICIT_UID)) + implicit(PRIVATE, b"AB") + implicit(PATIENT_NAME, b"DOE ")
    found = index(data, 0, len(data), implicit=True)
    assert [element[1] for element in found] == [b"SQ", b"UN", b"PN"]
    assert [element[5] is None for element in found] == [False, True, True]


def test_encapsulated_pixel_data_is_stepped_over_at_any_depth() -> None:
    data = sequence(ICON, item(ENCAPSULATED)) + sequence(PURPOSE, item(ENCAPSULATED, undefined=True)) + ENCAPSULATED
    assert tags(data) == [((), PURPOSE), ((PURPOSE,), PIXELS), ((), ICON), ((ICON,), PIXELS), ((), PIXELS)]
    last = index(data, 0, len(data))[-1]
    assert data[last[3] : last[4]] == FRAGMENTS
    assert last[5] is None


@pytest.mark.parametrize("form", [False, True])
def test_zeros_behind_the_last_element_are_padding(form: bool) -> None:
    data = implicit(PATIENT_NAME, b"DOE ") if form else NAME
    for padding in (8, 9, 13, 512):
        assert tags(data + bytes(padding), implicit=form) == [((), PATIENT_NAME)]


def test_find() -> None:
    elements = index(NAME + UID, 0, len(NAME + UID))
    assert find(elements, PATIENT_NAME) == elements[1]
    assert find(elements, PATIENT_ID) is None
    assert find([], PATIENT_ID) is None


REFUSED: dict[str, tuple[bytes, bool, type[GatewayError]]] = {
    # cut off in a header, a long header, a value, an item header, an item, before a delimiter, inside a fragment
    "header": (NAME[:5], False, TruncatedDataSet),
    "long header": (explicit(0x00420011, "OB", b"%PDF")[:9], False, TruncatedDataSet),
    "value": (NAME[:-2], False, TruncatedDataSet),
    "item header": (explicit(IMAGES, "SQ", item(UID)[:5]), False, TruncatedDataSet),
    "item": (explicit(IMAGES, "SQ", item(UID)[:-2]), False, TruncatedDataSet),
    "item delimitation": (explicit(IMAGES, "SQ", item(UID, undefined=True)[:-8]), False, TruncatedDataSet),
    "half an item delimitation": (explicit(IMAGES, "SQ", item(UID, undefined=True)[:-2]), False, MalformedDataSet),
    "sequence delimitation": (sequence(IMAGES, item(UID), undefined=True)[:-8], False, TruncatedDataSet),
    "fragments": (ENCAPSULATED[:-10], False, TruncatedDataSet),
    "no end of fragments": (ENCAPSULATED[:-8], False, TruncatedDataSet),
    "undefined implicit": (implicit(IMAGES, b"", length=UNDEFINED), True, TruncatedDataSet),
    # an item longer than its sequence, an element longer than its item, a sequence longer than its item
    "long item": (explicit(IMAGES, "SQ", implicit(ITEM, UID, length=99)) + NAME * 9, False, TruncatedDataSet),
    "long element": (
        sequence(IMAGES, item(explicit(REFERENCED, "UI", b"1.2.3\0", length=40))) + NAME * 9,
        False,
        TruncatedDataSet,
    ),
    "long sequence": (
        sequence(IMAGES, item(explicit(PURPOSE, "SQ", item(UID), length=60))) + NAME * 9,
        False,
        TruncatedDataSet,
    ),
    "item beyond its sequence": (
        explicit(IMAGES, "SQ", item(UID + NAME), length=8 + len(UID)) + explicit(PATIENT_ID, "LO", b"4711"),
        False,
        TruncatedDataSet,
    ),
    # an undefined length where none can be
    "undefined text": (explicit(0x00081190, "UR", NAME + SEQUENCE_END, length=UNDEFINED), False, MalformedDataSet),
    "undefined OB": (explicit(0x00420011, "OB", FRAGMENTS, length=UNDEFINED), False, MalformedDataSet),
    "undefined pixels as UN": (explicit(PIXELS, "UN", FRAGMENTS, length=UNDEFINED), False, MalformedDataSet),
    "undefined implicit text": (implicit(PATIENT_NAME, item(b""), length=UNDEFINED), True, MalformedDataSet),
    "undefined implicit pixels": (implicit(PIXELS, FRAGMENTS, length=UNDEFINED), True, MalformedDataSet),
    # a sequence under another VR would hide what is in it
    "sequence as OB": (explicit(IMAGES, "OB", item(UID)), False, MalformedDataSet),
    "sequence as LO": (explicit(IMAGES, "LO", item(UID)), False, MalformedDataSet),
    "sequence as OB, nested": (sequence(ICON, item(explicit(IMAGES, "OB", item(UID)))), False, MalformedDataSet),
    # delimiters and items where they do not belong
    "item delimitation at the top": (NAME + ITEM_END, False, MalformedDataSet),
    "item delimitation at the top, implicit": (implicit(PATIENT_NAME) + ITEM_END, True, MalformedDataSet),
    "sequence delimitation at the top": (NAME + SEQUENCE_END, False, MalformedDataSet),
    "item at the top": (NAME + item(UID), False, MalformedDataSet),
    "delimiter in a defined item": (sequence(IMAGES, item(UID + ITEM_END)), False, MalformedDataSet),
    "delimiter in a defined sequence": (sequence(IMAGES, item(UID), SEQUENCE_END), False, MalformedDataSet),
    "element instead of an item": (sequence(IMAGES, UID), False, MalformedDataSet),
    "group FFFE of no meaning": (NAME + implicit(0xFFFE1234), False, MalformedDataSet),
    "item delimitation with a length": (
        sequence(IMAGES, implicit(ITEM, UID + pack("<HHI", 0xFFFE, 0xE00D, 2), length=UNDEFINED), undefined=True),
        False,
        MalformedDataSet,
    ),
    "sequence delimitation with a length": (
        explicit(IMAGES, "SQ", item(UID) + pack("<HHI", 0xFFFE, 0xE0DD, 2), length=UNDEFINED),
        False,
        MalformedDataSet,
    ),
    "end of fragments with a length": (
        explicit(PIXELS, "OB", implicit(ITEM) + pack("<HHI", 0xFFFE, 0xE0DD, 2), length=UNDEFINED),
        False,
        MalformedDataSet,
    ),
    "fragment of undefined length": (
        explicit(PIXELS, "OB", implicit(ITEM, length=UNDEFINED) + SEQUENCE_END, length=UNDEFINED),
        False,
        MalformedDataSet,
    ),
    # twice the same, adjacent and apart, at the top and below
    "twice": (NAME + NAME, False, DuplicateElement),
    "twice apart": (NAME + UID + NAME, False, DuplicateElement),
    "twice below": (sequence(IMAGES, item(UID + UID)), False, DuplicateElement),
    # odd lengths
    "odd": (explicit(PATIENT_NAME, "PN", b"DOE"), False, OddLength),
    "odd implicit": (implicit(PATIENT_NAME, b"DOE"), True, OddLength),
    "odd fragment": (
        explicit(PIXELS, "OB", implicit(ITEM, b"abc") + SEQUENCE_END, length=UNDEFINED),
        False,
        OddLength,
    ),
    # unknown VRs, and implicit elements inside explicit VR
    "unknown VR": (explicit(PATIENT_NAME, "ZZ", b"DOE "), False, IrregularEncoding),
    "implicit in explicit": (NAME + implicit(PATIENT_ID, b"4711"), False, IrregularEncoding),
    # garbage and too little of it
    "garbage behind": (NAME + b"\x01\x02\x03\x04\x05\x06\x07\x08", False, IrregularEncoding),
    "zeros and something": (NAME + bytes(20) + b"x", False, MalformedDataSet),
    "zeros in an item": (sequence(IMAGES, item(UID + bytes(8))), False, MalformedDataSet),
}


@pytest.mark.parametrize(("data", "form", "error"), REFUSED.values(), ids=REFUSED)
def test_broken_encodings_are_refused(data: bytes, form: bool, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        index(data, 0, len(data), implicit=form)


def test_the_place_of_an_error_is_named_without_its_value() -> None:
    data = sequence(ICON, item(sequence(IMAGES, item(b""), item(explicit(PATIENT_NAME, "PN", b"DOE")))))
    with pytest.raises(OddLength, match=r"\(0088,0200\)\[0\]/\(0008,1140\)\[1\]/\(0010,0010\)") as error:
        index(data, 0, len(data))
    assert "DOE" not in str(error.value)


def test_a_delimiter_across_the_end_of_its_sequence_does_not_pass() -> None:
    # The item's delimitation ends four bytes behind the sequence that holds it.
    content = implicit(ITEM, UID + ITEM_END, length=UNDEFINED)
    data = explicit(IMAGES, "SQ", content, length=len(content) - 4) + NAME
    with pytest.raises(MalformedDataSet):
        index(data, 0, len(data))


class TestLimits:
    """Depth, number of elements, and the work done before refusing."""

    @pytest.mark.parametrize("undefined", [False, True])
    def test_depth(self, undefined: bool) -> None:
        data = UID
        for _ in range(32):
            data = sequence(IMAGES, item(data, undefined=undefined), undefined=undefined)
        assert len(tags(data)) == 33
        with pytest.raises(LimitExceeded, match="32 nested sequences"):
            index(one_more := sequence(IMAGES, item(data)), 0, len(one_more))

    def test_300_megabytes_of_nesting(self) -> None:
        level = explicit(IMAGES, "SQ", implicit(ITEM, length=UNDEFINED), length=UNDEFINED)
        data = level * (300_000_000 // len(level))
        with pytest.raises(LimitExceeded):
            index(data, 0, len(data))

    def test_ten_million_elements(self) -> None:
        data = bytes(implicit(PRIVATE)) * 10_000_000
        with pytest.raises(LimitExceeded, match="500000 elements"):
            index(data, 0, len(data), implicit=True)

    @pytest.mark.parametrize("undefined", [False, True])
    def test_elements_in_items_count(self, undefined: bool) -> None:
        items = [item(UID + NAME, undefined=undefined)] * 10
        data = sequence(IMAGES, *items, undefined=undefined)  # a sequence, ten items, twenty elements
        assert len(tags(data, limits=Limits(elements=31))) == 21
        with pytest.raises(LimitExceeded, match="30 elements"):
            index(data, 0, len(data), limits=Limits(elements=30))

    def test_levels_in_progress_count(self) -> None:
        """What is read on the way down counts at once, not only when a level ends."""
        level = b"".join(explicit(PRIVATE + number, "LO") for number in range(0x20))
        data = b"broken"
        for _ in range(10):
            data = level + explicit(IMAGES, "SQ", implicit(ITEM, data, length=UNDEFINED), length=UNDEFINED)
        with pytest.raises(LimitExceeded):
            index(data, 0, len(data), limits=Limits(elements=100))

    def test_empty_items_count(self) -> None:
        data = sequence(IMAGES, *[item(b"")] * 100)
        with pytest.raises(LimitExceeded):
            index(data, 0, len(data), limits=Limits(elements=50))

    def test_the_limit_is_the_number_of_elements(self) -> None:
        data = b"".join(explicit(0x00091000 + number, "LO", b"") for number in range(20))
        assert len(tags(data, limits=Limits(elements=20))) == 20
        with pytest.raises(LimitExceeded):
            index(data, 0, len(data), limits=Limits(elements=19))

    @pytest.mark.parametrize("depth", [0, 101, 10_000])
    def test_a_depth_beyond_the_stack_is_no_limit(self, depth: int) -> None:
        with pytest.raises(ConfigurationError, match=r"limits\.depth"):
            Limits(depth=depth)

    def test_the_deepest_limit_holds(self) -> None:
        data = UID
        for _ in range(100):
            data = sequence(IMAGES, item(data))
        assert len(tags(data, limits=Limits(depth=100))) == 101

    def test_guesses_inside_un_do_not_multiply(self) -> None:
        """Thirty levels of UN, wrong in either form at the bottom: two attempts at each would be a billion."""
        for bottom in (explicit(PATIENT_NAME, "PN", b"DOE"), implicit(PATIENT_NAME, b"DOE")):
            explicit_levels = implicit_levels = bottom
            for _ in range(30):
                explicit_levels = sequence(IMAGES, item(explicit_levels), vr="UN")
                implicit_levels = implicit(IMAGES, item(implicit_levels))
            for data in (explicit_levels, sequence(IMAGES, item(implicit_levels), vr="UN")):
                counted = _Counting(data)
                with pytest.raises(MalformedDataSet):
                    index(counted, 0, len(counted))
                assert 0 < counted.slices < 100


class _Counting(bytearray):
    """Counts the guesses by the slices they take; headers are unpacked without slicing."""

    slices = 0

    def __getitem__(self, key: Any) -> Any:
        self.slices += 1
        return super().__getitem__(key)


class TestForms:
    """The two forms that only re-encoding asks for."""

    def test_big_endian(self) -> None:
        data = explicit(0x00280010, "US", pack(">H", 512), order=">")
        data += explicit(0x00420011, "OB", b"%PDF", order=">")
        found = index(data, 0, len(data), form=Form.BIG_ENDIAN)
        assert [element[:2] for element in found] == [(0x00280010, b"US"), (0x00420011, b"OB")]

    def test_big_endian_unknown_sequence(self) -> None:
        data = explicit(IMAGES, "UN", b"", order=">")
        with pytest.raises(UnsupportedEncoding, match=r"\(0008,1140\)"):
            index(data, 0, len(data), form=Form.BIG_ENDIAN)

    def test_big_endian_is_never_encapsulated(self) -> None:
        data = explicit(PIXELS, "OB", FRAGMENTS, length=UNDEFINED, order=">")
        with pytest.raises(MalformedDataSet):
            index(data, 0, len(data), form=Form.BIG_ENDIAN)

    def test_mixed(self) -> None:
        data = NAME + implicit(PATIENT_ID, b"4711") + implicit(IMAGES, item(IMPLICIT_UID))
        found = index(data, 0, len(data), form=Form.MIXED)
        assert [(element[0], element[1]) for _, element in walk(found)] == [
            (IMAGES, b"SQ"),
            (REFERENCED, b"UI"),
            (PATIENT_NAME, b"PN"),
            (PATIENT_ID, b"LO"),
        ]

    def test_a_vr_of_a_later_edition_has_a_32_bit_length(self) -> None:
        data = pack("<HH2sHI", 0x0008, 0x0009, b"XY", 0, 4) + b"abcd" + NAME
        assert index(data, 0, len(data), form=Form.MIXED)[0] == (0x00080009, b"UN", 0, 12, 16, None)
        data = pack("<HH2sHI", 0x0008, 0x0009, b"XY", 7, 4) + b"abcd"
        with pytest.raises(IrregularEncoding):
            index(data, 0, len(data), form=Form.MIXED)


def _check(elements: list[Element], start: int, stop: int) -> None:
    """Elements of a level fill its bytes without gap or overlap, whatever their order, and so do items."""
    pos = start
    for _, _, begin, value, end, items in sorted(elements, key=lambda element: element[2]):
        assert begin == pos
        assert begin + 8 <= value <= end <= stop
        pos = end
        if items is not None:
            inner = value
            for at, content, behind, _, below in items:
                assert at == inner
                assert content == at + 8
                _check(below, content, behind)
                inner = behind
            assert inner in (end, end - 8)
    assert pos in (stop, stop - 8) or not elements or stop - pos <= 0x10000


_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def _data_set(name: str) -> bytes:
    data = (_FILES / name).read_bytes()
    return data[read_file_meta(data)[1] :]


_SEEDS = [
    _data_set(name)
    for name in ("MR_small.dcm", "rtplan.dcm", "test-SR.dcm", "JPEG2000.dcm", "UN_sequence.dcm", "ExplVR_BigEnd.dcm")
]


def _attempts(data: bytes) -> Iterator[list[Element]]:
    """Every reading of ``data`` that holds; any other error than the gateway's own fails the test."""
    for options in ({}, {"implicit": True}, {"form": Form.BIG_ENDIAN}, {"form": Form.MIXED}):
        try:
            yield index(data, 0, len(data), limits=Limits(elements=20_000), **options)
        except GatewayError:
            continue


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes(data: bytes) -> None:
    for elements in _attempts(data):
        _check(elements, 0, len(data))


_PIECES = st.sampled_from(
    [NAME, UID, IMPLICIT_UID, ITEM_END, SEQUENCE_END, ENCAPSULATED, FRAGMENTS, *READ.values(), bytes(8)]
    + [implicit(ITEM, length=UNDEFINED), implicit(ITEM, length=8)]
    + [explicit(tag, vr, length=UNDEFINED) for tag in (IMAGES, PRIVATE, PIXELS) for vr in ("SQ", "UN", "OB", "UT")]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(_PIECES, max_size=12).map(b"".join))
def test_arbitrary_structures(data: bytes) -> None:
    for elements in _attempts(data):
        _check(elements, 0, len(data))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutations_of_real_files(data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(_SEEDS)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(seed) - 1))
        change = data.draw(st.sampled_from(["flip", "cut", "insert", "remove"]))
        if change == "flip":
            seed[at] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del seed[at + 1 :]
        elif change == "insert":
            seed[at:at] = data.draw(_PIECES)
        else:
            del seed[at : at + data.draw(st.integers(1, 16))]
        if not seed:
            return
    for elements in _attempts(bytes(seed)):
        _check(elements, 0, len(seed))
