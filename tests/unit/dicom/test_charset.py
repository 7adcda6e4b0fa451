"""Text in every character set of the standard, right or wrong."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.charset import python_encoding

from gateway.dicom.charset import DEFAULT_REPERTOIRE, character_sets, decode, split_values
from gateway.dicom.encoded import Limits, walk
from gateway.dicom.instance import open_instance

KANJI = b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"

EXACT = [
    # no character set: ASCII
    (b"", b"PN", b"DOE^JANE ", "DOE^JANE "),
    # single byte sets
    (b"ISO_IR 100", b"PN", b"Buc^J\xe9r\xf4me ", "Buc^Jérôme "),
    (b"ISO_IR 126", b"PN", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    (b"ISO_IR 144", b"PN", b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),
    (b"ISO_IR 13", b"PN", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    # the examples of PS3.5 H and I: three component groups
    (b"\\ISO 2022 IR 87", b"PN", b"Yamada^Tarou=" + KANJI, "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"PN",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=" + KANJI.replace(b"\x1b(B", b"\x1b(J"),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    (
        b"\\ISO 2022 IR 149",
        b"PN",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (
        b"\\ISO 2022 IR 58",
        b"PN",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    # JIS X 0212
    (b"\\ISO 2022 IR 159", b"LO", b"\x1b$(D0!\x1b(B", "丂"),
    # sets without escapes
    (b"GB18030", b"PN", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
    (b"GBK ", b"PN", b"\xcd\xf5^\xd0\xa1\xb6\xab", "王^小东"),
    (b"ISO_IR 192", b"PN", "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
    # several single byte sets; a delimiter returns to the first one
    (
        b"ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126",
        b"PN",
        b"Dionysios is \x1b-F\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2^\xe9",
        "Dionysios is Διονυσιος^é",
    ),
    (b"ISO 2022 IR 100\\ISO 2022 IR 144", b"LO", b"\x1b-L\xbb\xee\\\xe9", "Лю\\é"),
    # a caret is a delimiter in names only
    (b"ISO 2022 IR 100\\ISO 2022 IR 144", b"LO", b"\x1b-L\xbb^\xee", "Л^ю"),
    # G0 back to ASCII leaves G1 designated
    (b"\\ISO 2022 IR 149", b"LO", b"\x1b$)C\xc8\xab\x1b(B\xb1\xe6", "홍길"),
]


@pytest.mark.parametrize(("declared", "vr", "value", "text"), EXACT)
def test_exact(declared: bytes, vr: bytes, value: bytes, text: str) -> None:
    sets = character_sets(declared) if declared else DEFAULT_REPERTOIRE
    assert decode(value, vr, sets) == (text, True)


UNDERSTOOD = [
    # nothing declared, or nothing but ASCII, and not ASCII: UTF-8 if it is, Latin-1 if a Western language can be
    (b"", b"PN", "GARCÍA^JOSÉ".encode(), "GARCÍA^JOSÉ"),
    (b"", b"PN", b"GARC\xcdA^JOS\xc9", "GARCÍA^JOSÉ"),
    (b"ISO_IR 6", b"LO", b"T\xd3RAX", "TÓRAX"),
    (b"ISO 2022 IR 6", b"LO", b"T\xd3RAX", "TÓRAX"),
    (b"\\ISO 2022 IR 100", b"LO", b"T\xd3RAX", "TÓRAX"),
    (b"ISO 2022 IR 6\\ISO 2022 IR 100", b"LO", b"T\xd3RAX", "TÓRAX"),
    (b"", b"LO", b"RI\xd1\xd3N, L4\xbaL5, cora\xe7\xe3o, ling\xfc\xedstica", "RIÑÓN, L4ºL5, coração, lingüística"),
    (b"", b"LO", b"GR\xd6\xdfE, p\xe4\xe4, paral\xb7lel, 37\xb0", "GRÖßE, pää, paral·lel, 37°"),
    # UTF-8 where Latin-1 is declared, and the other way round
    (b"ISO_IR 100", b"PN", "GARCÍA".encode(), "GARCÍA"),
    (b"ISO_IR 192", b"PN", b"GARC\xcdA", "GARCÍA"),
    # misspelt terms
    (b"ISO-IR 100", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"ISO IR 100", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"ISO_IR_100", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"ISO_IR100", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"iso_ir 100", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"Iso_Ir 144 ", b"PN", b"\xbb\xee", "Лю"),
    (b"ISO_IR 87", b"PN", b"\x1b$B;3ED\x1b(B", "山田"),
    (b"ISO 2022-IR 100", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"ISO_2022_IR_6", b"LO", b"T\xd3RAX", "TÓRAX"),
    (b"ISO 2022 IR 6, IS", b"LO", b"T\xd3RAX", "TÓRAX"),
    (b"iso 2022 ir 100\\iso 2022 ir 144", b"LO", b"\x1b-L\xbb\xee\\\xe9", "Лю\\é"),
    (b"UTF-8", b"PN", "Jérôme".encode(), "Jérôme"),
    (b"utf8", b"PN", "Jérôme".encode(), "Jérôme"),
    (b"ISO 8859-1", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"ISO-8859-15", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"WINDOWS-1252", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    # not ASCII in a VR of the default repertoire, whatever is declared
    (b"ISO_IR 144", b"CS", b"J\xe9R", "JéR"),
]


@pytest.mark.parametrize(("declared", "vr", "value", "text"), UNDERSTOOD)
def test_what_is_common_is_understood(declared: bytes, vr: bytes, value: bytes, text: str) -> None:
    sets = character_sets(declared) if declared else DEFAULT_REPERTOIRE
    assert decode(value, vr, sets) == (text, True)


GUESSED = [
    # declared UTF-8, but something else
    (b"ISO_IR 192", b"PN", "李明".encode("gbk"), "ÀîÃ÷"),
    # declared something, but UTF-8
    (b"ISO_IR 13", b"PN", "ÁÉ".encode(), "ÁÉ"),
    # nothing declared, and neither UTF-8 nor Western: GBK, EUC-KR, Shift-JIS, Windows-1251
    (b"", b"PN", "李明".encode("gbk"), "ÀîÃ÷"),
    (b"", b"PN", "김귀순".encode("euc_kr"), "±è±Í¼ø"),
    (b"", b"PN", "山田".encode("shift_jis"), "\x8eR\x93c"),
    (b"", b"PN", "Иванов".encode("cp1251"), "Èâàíîâ"),
    # terms that do not exist
    (b"KLINGON", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"\xff\xfe", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    (b"ISO_IR 999", b"PN", b"J\xe9r\xf4me", "Jérôme"),
    # a set that stands alone, among others
    (b"ISO_IR 100\\ISO_IR 192", b"PN", "Jérôme".encode(), "Jérôme"),
    # an escape to a set that is not declared, and one that does not exist
    (b"ISO_IR 100", b"PN", b"\x1b$B;3ED\x1b(B", "山田"),
    (b"ISO_IR 100", b"PN", b"\x1b%Gabc", "\x1b%Gabc"),
    # the escape is missing after a delimiter, as many Korean devices write it
    (b"\\ISO 2022 IR 149", b"PN", b"\x1b$)C\xc8\xab^\xb1\xe6\xb5\xbf", "홍^길동"),
    # half a character
    (b"\\ISO 2022 IR 87", b"PN", b"\x1b$B;3E\x1b(B", "山\ufffd\ufffd"),
]


@pytest.mark.parametrize(("declared", "vr", "value", "text"), GUESSED)
def test_best_effort_is_flagged(declared: bytes, vr: bytes, value: bytes, text: str) -> None:
    sets = character_sets(declared) if declared else DEFAULT_REPERTOIRE
    decoded = decode(value, vr, sets)
    assert decoded.text.rstrip() == text
    assert not decoded.exact


@pytest.mark.parametrize(
    ("declared", "value", "values"),
    [
        # 0x5C as the second byte of a character, and as a separator
        (b"GB18030", b"\x81\x5c\\\xcd\xf5", ["乗", "王"]),
        (b"GBK", b"\x81\x5c\\\xcd\xf5", ["乗", "王"]),
        (b"ISO_IR 13", b"\x83\x5c\\A", ["ソ", "A"]),
        (b"\\ISO 2022 IR 87", b"\x1b$B%\\\x1b(B\\A", ["ボ", "A"]),
        (b"ISO_IR 192", "é\\ü".encode(), ["é", "ü"]),
        (b"\\ISO 2022 IR 149", b"\x1b$)C\xc8\xab\\\x1b$)C\xb1\xe6", ["홍", "길"]),
    ],
)
def test_a_backslash_byte_inside_a_character_separates_nothing(
    declared: bytes, value: bytes, values: list[str]
) -> None:
    decoded = decode(value, b"LO", character_sets(declared))
    assert split_values(decoded.text, b"LO") == values
    assert decoded.exact


def test_a_backslash_is_text_in_long_texts() -> None:
    assert split_values("a\\b", b"LO") == ["a", "b"]
    assert split_values("a\\b", b"LT") == ["a\\b"]
    assert split_values("", b"LO") == [""]


@pytest.mark.parametrize("term", python_encoding)
def test_every_defined_term_is_known(term: str) -> None:
    sets = character_sets(term.encode())
    assert sets.exact
    assert decode(b"DOE^JANE", b"PN", sets) == ("DOE^JANE", True)
    assert decode(b"\x1b(BDOE^JANE", b"PN", sets).text.endswith("DOE^JANE")


@given(st.binary(max_size=60), st.binary(max_size=30), st.sampled_from([b"PN", b"LO", b"UT", b"CS", b"UN"]))
def test_nothing_raises(value: bytes, declared: bytes, vr: bytes) -> None:
    decode(value, vr, character_sets(declared))


@given(
    st.lists(
        st.sampled_from([b"\x1b", b"$B", b"(B", b"(J", b"$)C", b"$)A", b"-F", b"^", b"=", b"\\", b"\xc8\xab", b"ab"])
    ),
    st.sampled_from(sorted(python_encoding)),
    st.sampled_from(sorted(python_encoding)),
)
def test_no_sequence_of_escapes_raises(pieces: list[bytes], first: str, second: str) -> None:
    text = decode(b"".join(pieces), b"PN", character_sets(f"{first}\\{second}".encode())).text
    assert text.count("ab") <= pieces.count(b"ab")


_FILES = sorted((Path(pydicom.__file__).parent / "data" / "charset_files").glob("*.dcm"))


@pytest.mark.parametrize("path", _FILES, ids=[path.stem for path in _FILES])
def test_same_names_as_pydicom(path: Path, tmp_path: Path) -> None:
    """Every name of pydicom's character set files, items with their own Specific Character Set included."""
    theirs = [
        "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
        for element in pydicom.dcmread(path).iterall()
        if element.VR == "PN" and element.value
    ]
    ours = []
    with open_instance(path, work=tmp_path, limits=Limits(), max_reencode_bytes=0) as instance:
        for where, (tag, vr, _, value, end, items) in walk(instance.elements):
            if tag == 0x00080005:
                sets = character_sets(instance.buffer[value:end])
                if not where:
                    assert instance.character_sets == sets
            elif items is None and vr == b"PN" and end > value:
                decoded = decode(instance.buffer[value:end], vr, sets)
                assert decoded.exact
                ours.append(decoded.text.rstrip(" ="))  # pydicom drops empty component groups
    assert len(ours) >= 1
    assert ours == theirs
