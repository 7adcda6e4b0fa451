"""Text is written exactly or not at all."""

from __future__ import annotations

import pytest

from gateway.dicom.charset import character_sets, decode
from gateway.dicom.text import encode_part, encode_text


@pytest.mark.parametrize(
    ("declared", "vr", "text", "encoded"),
    [
        (b"", b"LO", "plain", b"plain"),  # ASCII is in every character set
        (b"ISO_IR 100", b"LO", "M\u00fcller", b"M\xfcller"),  # one set
        (b"ISO_IR 192", b"PN", "M\u00fcller^\u5c71", b"M\xc3\xbcller^\xe5\xb1\xb1"),  # UTF-8
        (b"GB18030", b"LO", "\u738b", b"\xcd\xf5"),  # a set that stands alone
        (b"ISO_IR 144", b"LO", "\u041b\u044e", b"\xbb\xee"),  # Cyrillic
        # PS3.5 H.3.1: escapes to kanji and back before every delimiter
        (b"\\ISO 2022 IR 87", b"PN", "Y=\u5c71\u7530^\u592a\u90ce", b"Y=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
        # PS3.5 H.3.2: half-width kana are the initial set, to which an ideograph returns
        (b"ISO 2022 IR 13\\ISO 2022 IR 87", b"PN", "\uff94\uff8f=\u5c71", b"\xd4\xcf=\x1b$B;3\x1b(J"),
        # PS3.5 I.2: the escape stands in every component
        (b"\\ISO 2022 IR 149", b"PN", "H=\u6d2a^\u5409", b"H=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce"),
    ],
)
def test_what_is_written_is_read_again(declared: bytes, vr: bytes, text: str, encoded: bytes) -> None:
    sets = character_sets(declared)
    assert encode_text(text, vr, sets) == encoded
    assert decode(encoded, vr, sets) == (text, True)


@pytest.mark.parametrize(
    ("declared", "vr", "text"),
    [
        (b"", b"LO", "M\u00fcller"),  # the default repertoire is ASCII, whatever readers make of more
        (b"ISO_IR 100", b"LO", "\u5c71"),  # not in the set
        (b"ISO_IR 100", b"CS", "\u00e9"),  # Specific Character Set does not govern this VR (PS3.5 6.1.2.3)
        (b"ISO 2022 IR 13", b"PN", "\u5c71\u7530"),  # the codec could write it, the character set has no ideographs
        (b"ISO_IR 100", b"LO", "a\x1b(Bb"),  # an escape sequence as text would change the set
    ],
)
def test_what_cannot_be_written_is_refused(declared: bytes, vr: bytes, text: str) -> None:
    with pytest.raises(ValueError, match="the character set cannot express the text") as caught:
        encode_text(text, vr, character_sets(declared))
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "received", "text", "encoded"),
    [
        # nothing declared, or only ASCII: as the received value is
        (b"", b"T\xd3RAX GARCIA", "T\u00d3RAX", b"T\xd3RAX"),
        (b"ISO_IR 6", b"T\xd3RAX GARCIA", "T\u00d3RAX", b"T\xd3RAX"),
        (b"", b"T\xc3\x93RAX GARCIA", "T\u00d3RAX", b"T\xc3\x93RAX"),
        # what is declared is not what is there
        (b"ISO_IR 100", b"T\xc3\x93RAX GARCIA", "T\u00d3RAX", b"T\xc3\x93RAX"),
        (b"ISO_IR 192", b"T\xd3RAX GARCIA", "T\u00d3RAX", b"T\xd3RAX"),
        (b"FOO", b"T\xd3RAX GARCIA", "T\u00d3RAX", b"T\xd3RAX"),
        # what is declared, right
        (b"ISO_IR 100", b"T\xd3RAX GARCIA", "T\u00d3RAX", b"T\xd3RAX"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B CT", "\u5c71\u7530", b"\x1b$B;3ED\x1b(B"),
    ],
)
def test_a_part_is_written_as_the_whole_was(declared: bytes, received: bytes, text: str, encoded: bytes) -> None:
    sets = character_sets(declared)
    assert encode_part(text, b"LO", sets, received) == encoded
    assert decode(encoded, b"LO", sets).text == text
