"""Private elements stay only by creator, block by block, item by item (PS3.15 E.3.10)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.dicom import encode
from gateway.dicom.private_dictionary import private_vr
from gateway.errors import MalformedDataSet, ProfileError
from tests.unit.deid.profiles import dataset, item, program, treat

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
SIEMENS = "SIEMENS MR HEADER"


def block(found: Dataset, group: int, number: int, creator: str, **elements: tuple[str, object]) -> Dataset:
    """Reserve a block; ``x0C=("IS", "1000")`` is the element with that last byte."""
    found.add_new(group << 16 | number, "LO", creator)
    for name, (vr, value) in elements.items():
        found.add_new(group << 16 | number << 8 | int(name[1:], 16), vr, value)
    return found


def private(found: Dataset) -> dict[str, object]:
    """The private elements of a data set, creators included."""
    return {
        f"({element.tag.group:04X},{element.tag.element:04X})": element.value
        for element in found
        if element.tag.is_private
    }


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_safe_table_goes_by_creator_not_by_number(tmp_path: Path, syntax: str) -> None:
    using = program(tmp_path, "", use="basic, retain-safe-private")
    source = dataset()
    # B value and an element that the table does not list
    block(source, 0x0019, 0x10, SIEMENS, x0C=("IS", "1000"), x08=("CS", "IMAGE NUM 4"))
    # another maker's element with the same number; the same maker in another block, spelt otherwise
    block(source, 0x0019, 0x11, "ACME", x0C=("IS", "7"))
    block(source, 0x0019, 0x12, "Siemens MR Header ", x0D=("CS", "DIRECTIONAL"))
    # a block of which nothing stays
    block(source, 0x0021, 0x10, "ACME", x01=("LO", "secret"))
    found = treat(tmp_path, using, source, syntax=syntax).dataset
    assert {place: bytes(value).strip().decode() if isinstance(value, bytes) else str(value).strip()
            for place, value in private(found).items()} == {
        "(0019,0010)": SIEMENS, "(0019,100C)": "1000", "(0019,0012)": "Siemens MR Header", "(0019,120D)": "DIRECTIONAL",
    }  # fmt: skip
    assert "113111" in [code.CodeValue for code in found.DeidentificationMethodCodeSequence]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_rules_by_creator(tmp_path: Path, syntax: str) -> None:
    rules = """
attributes:
  - keep: ["(0029,xx10) ACME IMAGING"]
    because: needed for reconstruction
  - replace: {"(0019,xx0C) SIEMENS MR HEADER": "0"}
  - remove: ["(0019,xx0D) SIEMENS MR HEADER"]
  - clean: ["(0019,xx9E) GEMS_ACQU_01"]
"""
    using = program(tmp_path, rules, use="basic, retain-safe-private")
    source = dataset()
    block(source, 0x0019, 0x10, SIEMENS, x0C=("IS", "1000"), x0D=("CS", "NONE"), x0E=("FD", [1.0, 0.0, 0.0]))
    block(source, 0x0019, 0x11, "GEMS_ACQU_01", x9E=("LO", "CHEST MOCKBURY"))
    block(source, 0x0029, 0x10, "Acme Imaging", x10=("OB", b"\1\2"), x11=("LO", "secret"))
    nested = block(item(CodeValue="1"), 0x0029, 0x77, "ACME IMAGING", x10=("OB", b"\3\4"), x11=("LO", "secret"))
    source.ViewCodeSequence = Sequence([nested, block(item(CodeValue="2"), 0x0029, 0x10, "OTHER", x10=("OB", b"\5\6"))])
    found = treat(tmp_path, using, source, syntax=syntax).dataset
    assert sorted(private(found)) == [
        "(0019,0010)", "(0019,0011)", "(0019,100C)", "(0019,100E)", "(0019,119E)", "(0029,0010)", "(0029,1010)",
    ]  # fmt: skip
    assert str(found[0x0019100C].value) in ("0", "b'0 '")
    assert b"MOCKBURY" not in repr(found[0x0019119E].value).encode()
    one, two = found.ViewCodeSequence
    assert sorted(private(one)) == ["(0029,0077)", "(0029,7710)"]
    assert private(two) == {}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_kept_private_sequences_are_entered(tmp_path: Path, syntax: str) -> None:
    """Also where implicit VR does not tell that they are sequences, nor a dictionary."""
    using = program(tmp_path, 'attributes:\n  - {keep: ["(0029,xx20) ACME IMAGING"], because: needed}')
    for undefined in (True, False):
        source = block(dataset(), 0x0029, 0x10, "ACME IMAGING")
        nested = item(PatientName="MOCKBURY^TESTARIO", CodeMeaning="chest")
        block(nested, 0x0031, 0x10, "ACME IMAGING", x01=("LO", "secret"))
        source.add_new(0x00291020, "SQ", Sequence([nested]))
        source[0x00291020].value.is_undefined_length = undefined
        found = treat(tmp_path, using, source, syntax=syntax).dataset
        assert 0x00291020 in found
        raw = found[0x00291020].value
        if isinstance(raw, bytes):
            assert b"MOCKBURY" not in raw
            assert b"secret" not in raw
            assert b"chest" in raw
        else:
            assert raw[0].PatientName == ""
            assert raw[0].CodeMeaning == "chest"
            assert private(raw[0]) == {}


def test_cleaned_items_that_vr_un_hid_stay_in_vr_un(tmp_path: Path) -> None:
    """They are implicit VR, which only that VR tells a reader (PS3.5 6.2.2)."""
    using = program(
        tmp_path,
        'attributes:\n  - {clean: ["(0029,xx20) ACME IMAGING"], because: needed}\n',
        use="basic, clean-descriptors, clean-structured-content",
    )
    content = b"".join(
        encode.element(number, vr, value, implicit=True)
        for number, vr, value in ((0x00081030, b"LO", b"CHEST MOCKBURY"), (0x0040A040, b"CS", b"NUM "))
    )
    source = block(dataset(), 0x0029, 0x10, "ACME IMAGING")
    source.add_new(0x00291020, "UN", encode.item_header(len(content)) + content)
    found = treat(tmp_path, using, source)
    place = found.content.index(b"\x29\x00\x20\x10")
    assert found.content[place + 4 : place + 6] == b"UN"
    assert found.content[place + 12 : place + 16] == b"\xfe\xff\x00\xe0"
    assert b"MOCKBURY" not in found.content[place:]


def test_what_begins_like_items_and_is_none_is_held(tmp_path: Path) -> None:
    using = program(tmp_path, 'attributes:\n  - {keep: ["(0029,xx20) ACME IMAGING"], because: needed}')
    source = block(dataset(), 0x0029, 0x10, "ACME IMAGING", x20=("UN", b"\xfe\xff\x00\xe0\xff\xff\x00\x00MOCKBURY"))
    with pytest.raises(MalformedDataSet):
        treat(tmp_path, using, source)


def said(group: int, creator: str, status: str, *, safe: list[int] | None = None, **actions: list[int]) -> Dataset:
    """An item of Private Data Element Characteristics Sequence; ``D=[1]``: a dummy for the element with that byte."""
    found = Dataset()
    found.PrivateGroupReference = group
    found.PrivateCreatorReference = creator
    found.BlockIdentifyingInformationStatus = status
    if safe is not None:
        found.NonidentifyingPrivateElements = safe
    if actions:
        found.DeidentificationActionSequence = Sequence()
        for action, elements in actions.items():
            entry = Dataset()
            entry.IdentifyingPrivateElements = elements
            entry.DeidentificationAction = action
            found.DeidentificationActionSequence.append(entry)
    return found


ELEMENTS: dict[str, tuple[str, object]] = {
    "x01": ("LO", "one"), "x02": ("LO", "two"), "x03": ("UI", "1.2.276.0.7230010.9.9"),
}  # fmt: skip


#: The profile lets the sender vouch for its private elements.
BELIEVING = "attributes:\n  - {keep: [safe-private], believe: sender, because: the scanner is ours}\n"


@pytest.mark.parametrize("status", ["SAFE", "MIXED"])
def test_a_sender_that_nobody_believes_vouches_for_nothing(tmp_path: Path, status: str) -> None:
    """What it calls safe goes; what the table calls safe stays unless the sender says otherwise."""
    using = program(tmp_path, "", use="basic, retain-safe-private")
    source = block(dataset(), 0x0029, 0x10, "ACME", **ELEMENTS)
    block(source, 0x0019, 0x10, SIEMENS, x0C=("IS", "1000"), x08=("LO", "Marisol Etxeberria"))
    source.PrivateDataElementCharacteristicsSequence = Sequence(
        [said(0x0029, "ACME", status, safe=[1, 2, 3]), said(0x0019, SIEMENS, status, safe=[0x08, 0x0C])]
    )
    found = private(treat(tmp_path, using, source).dataset)
    assert [str(value) for value in found.values()] == [SIEMENS, "1000"]


def test_only_safe_private_can_be_believed(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="believe: sender"):
        program(tmp_path, "attributes:\n  - {keep: [PatientSex], believe: sender, because: no}")


@pytest.mark.parametrize(
    ("offset", "vr", "value"),
    [
        # a b-value of VR IS and one value: another VR, more values, items
        ("x0C", "LO", "1000"),
        ("x0C", "IS", ["1000", "8"]),
        ("x0C", "SQ", [item(ContentDescription="Marisol Etxeberria")]),
        # a term of VR CS that is none
        ("x0D", "CS", "ETXEBERRIA"),
        ("x0D", "LO", "DIRECTIONAL"),
        # a vector of three numbers: more of them, and words
        ("x0E", "FD", [1.0, 0.0, 0.0, 4.0]),
        ("x0E", "LT", "Marisol Etxeberria"),
    ],
)
def test_a_safe_element_of_another_kind_goes(tmp_path: Path, offset: str, vr: str, value: object) -> None:
    using = program(tmp_path, "", use="basic, retain-safe-private")
    source = block(dataset(), 0x0019, 0x10, SIEMENS, **{offset: (vr, value)})
    assert private(treat(tmp_path, using, source).dataset) == {}


@pytest.mark.parametrize(
    ("characteristics", "expected"),
    [
        # nothing is said
        ([], []),
        # the whole block is safe
        ([said(0x0029, "ACME", "SAFE")], ["one", "two", "1.2.276.0.7230010.9.9"]),
        # of another creator, of another group
        ([said(0x0029, "OTHER", "SAFE"), said(0x0031, "ACME", "SAFE")], []),
        # the creator is compared as everywhere
        ([said(0x0029, "acme ", "SAFE")], ["one", "two", "1.2.276.0.7230010.9.9"]),
        # some elements are
        ([said(0x0029, "ACME", "MIXED", safe=[2])], ["two"]),
        # none is
        ([said(0x0029, "ACME", "UNSAFE", safe=[2])], []),
        # what is to be done with the others: a dummy, another UID, no value, nothing
        ([said(0x0029, "ACME", "SAFE", D=[1], U=[3])], ["DEIDENTIFIED", "two", "2.25"]),
        ([said(0x0029, "ACME", "SAFE", Z=[1], X=[2])], ["", "1.2.276.0.7230010.9.9"]),
        ([said(0x0029, "ACME", "MIXED", safe=[2], D=[1])], ["DEIDENTIFIED", "two"]),
        # two different statements cannot both be true
        ([said(0x0029, "ACME", "SAFE"), said(0x0029, "ACME", "UNSAFE")], []),
        # whichever comes last
        ([said(0x0029, "ACME", "UNSAFE"), said(0x0029, "ACME", "SAFE")], []),
        # nor two actions for one element
        ([said(0x0029, "ACME", "SAFE", D=[1], U=[1])], ["two", "1.2.276.0.7230010.9.9"]),
    ],
)
def test_what_the_instance_says_of_its_private_elements(
    tmp_path: Path, characteristics: list[Dataset], expected: list[str]
) -> None:
    using = program(tmp_path, BELIEVING, use="basic, retain-safe-private")
    source = block(dataset(), 0x0029, 0x10, "ACME", **ELEMENTS)
    source.PrivateDataElementCharacteristicsSequence = Sequence(characteristics)
    found = private(treat(tmp_path, using, source).dataset)
    values = [str(value or "") for place, value in found.items() if place != "(0029,0010)"]
    assert [value if not value.startswith("2.25.") else "2.25" for value in values] == expected
    # a creator without elements does not stay
    assert ("(0029,0010)" in found) is bool(expected)


def test_what_the_instance_says_counts_before_the_table(tmp_path: Path) -> None:
    using = program(tmp_path, "", use="basic, retain-safe-private")
    source = block(dataset(), 0x0019, 0x10, SIEMENS, x0C=("IS", "1000"))
    source.PrivateDataElementCharacteristicsSequence = Sequence([said(0x0019, SIEMENS, "UNSAFE")])
    assert private(treat(tmp_path, using, source).dataset) == {}


@pytest.mark.parametrize(
    ("tag", "creator", "vr"),
    [
        (0x0019100C, "SIEMENS MR HEADER", b"IS"),  # in the first block
        (0x0019770C, "SIEMENS MR HEADER", b"IS"),  # in any other
        (0x0019100C, "ACME", b"UN"),  # another creator
        (0x001910FF, "SIEMENS MR HEADER", b"UN"),  # an element that nobody knows
        (0x00291010, "SIEMENS CSA HEADER", b"OB"),
    ],
)
def test_the_private_dictionary(tag: int, creator: str, vr: bytes) -> None:
    assert private_vr(tag, creator) == vr
