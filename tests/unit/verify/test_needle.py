"""What is searched for, and what counts as found."""

from __future__ import annotations

import pytest

from gateway.dicom.identifying import Kind
from gateway.verify.dates_in_text import date_digits, dates_in
from gateway.verify.needles import needles
from gateway.verify.text_normalisation import squash

NAME, ID, DEVICE, DATE, BIRTH = Kind.NAME, Kind.ID, Kind.DEVICE, Kind.DATE, Kind.BIRTH_DATE
PLACE, ADDRESS, PHONE = Kind.INSTITUTION, Kind.ADDRESS, Kind.PHONE


def found(kind: Kind, value: str, text: str) -> bool:
    return any(needle.found_in(squash(text)) or needle.is_among(dates_in(text)) for needle in needles(kind, value))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (NAME, "MUSTERFRAU^ERIKA", "Thorax MUSTERFRAU"),  # a family name
        (NAME, "MUSTERFRAU^ERIKA", "erika"),  # a given name, case ignored
        (NAME, "MUSTERFRAU^ERIKA", "Studie MusterfrauE 3"),  # six letters and more: glued to others
        (NAME, "MUSTERFRAU^ERIKA", "ERIKA2"),  # a digit ends a word of five letters
        (NAME, "PRUEBÁÑEZ^JOSÉ", "pruebanez"),  # without accents
        (NAME, "PRUEBANEZ^JOSE", "Pruebáñez"),  # with accents that the name lacked
        (NAME, "MÜSTERLÖH^X", "MUESTERLOEH"),  # umlauts spelled out
        (NAME, "O'FAKENSON^X", "OFAKENSON"),  # an apostrophe left out
        (NAME, "MOCK-TESTOWSKI^X", "TESTOWSKI"),  # one half of a double name
        (NAME, "Yamada^Tarou=山田^太郎=やまだ^たろう", "患者山田様"),  # ideographs have no word boundaries
        (NAME, "Yamada^Tarou=山田^太郎=やまだ^たろう", "YAMADA"),  # the alphabetic group
        (NAME, "LEE^X", "CT LEE FOLLOW UP"),  # three letters as a word
        (NAME, "LI^X", "Li"),  # two letters as a whole value
        (NAME, "VAN^DER", "Van der"),  # nothing but particles: the whole
        (NAME, "MOCKBURY 4711", "4711"),  # a number in the name's place
        (ID, "MRN-0048151", "MRN 0048151"),  # other punctuation
        (ID, "MRN-0048151", "mrn0048151"),  # no punctuation
        (ID, "0004815162", "4815162"),  # no leading zeros
        (ID, "48151623", "X48151623Y"),  # letters beside a long number
        (ID, "4711", "ID 4711"),  # four digits as a word
        (ID, "A7", "a7"),  # a short one as a whole value
        (DEVICE, "CT-STATION-07", "CT STATION 07"),  # a station
        (DATE, "20240229", "on 20240229"),  # a date
        (DATE, "20240229", "2024-02-29"),  # ISO 8601
        (DATE, "20240229103000.5+0100", "29/02/2024"),  # of a DT, as people write it
        (DATE, "20240229", "02/29/2024"),  # month first
        (DATE, "2024.02.29", "20240229"),  # ACR-NEMA's separators
        (BIRTH, "19610808", "08081961"),  # day, month, year without separators
        (PLACE, "Klinikum Musterstadt", "KLINIKUM  MUSTERSTADT, CT"),  # an institution
        (PLACE, "MGX", "MGX"),  # a short one as a whole value
        (ADDRESS, "Nowhere Lane 12\r\n99999 Faketown", "99999 Faketown"),  # one line of an address
        (NAME, "CASTRO FLORES^BRUNO", "Castro Flores"),  # names of two words
        (NAME, "LE^VAN AN", "LE VAN AN 12"),  # particles beside a short name
        (NAME, "RUIZ^ANA^^DRA", "ANA RUIZ"),  # the other order
        (NAME, "LI^XU", "T1 LI XU 3"),  # two short words of one person
        (NAME, "LI^XU", "cxr_lixu_2"),  # joined
        (NAME, "ROSSI^ANA", "ct_rossiana2"),  # two words of which none is found inside others
        (NAME, "RUIZ^EVA", "xEVARUIZx"),
        (NAME, "李^明", "CT 李明 THORAX"),  # two ideographs, joined
        (NAME, "李^明", "CT 明李"),  # given name first
        (NAME, "李^明", "CT 李 明"),  # apart
        (NAME, "Li^Ming=李^明", "检查李明"),  # of the second group
        (NAME, "김^민수", "흉부 김민수 CT"),  # hangul, whose letters decompose
        (NAME, "สมชาย^ใจดี", "ทรวงอกสมชาย"),  # Thai
        (NAME, "Íñiguez^Pía", "I?iguez Pa"),  # question marks for accents
        (NAME, "Íñiguez^Pía", "iguez"),  # accented letters dropped
        (NAME, "Íñiguez^Pía", "ÃÃ±iguez"),  # UTF-8 read as Latin-1
        (NAME, "Zurbarán^X", "ZUR\u00adBARAN"),  # a soft hyphen
        (NAME, "Đỗ^Thị Mỹ", "DO THI"),  # Vietnamese without its accents
        (ID, "1098765432", "C.C. 1.098.765.432"),  # separators in the text
        (ID, "CC 1.098.765.432", "1098765432"),  # separators in the header
        (ID, "9434765919", "NHS 943 476 5919"),  # blanks
        (ID, "HC-7391846", "HC 73 91 846"),  # blanks elsewhere
        (ID, "HC-7391846", "Informe 7391846"),  # without the letters in front
        (ID, "48921377K", "DNI 48921377"),  # without the check letter
        (ID, "48921377K", "48.921.377-K"),  # with separators
        (ID, "12.345.678-5", "RUT 12345678"),  # without the check digit
        (ID, "12345678", "RUT 12.345.678-5"),  # with a check digit
        (ID, "RX2024001882", "2024001882"),  # an accession number's digits
        (ID, "RX-0004481516", "4481516"),  # and without leading zeros
        (ID, "7391846", "IMG739184600112"),  # the beginning of a longer number
        (ID, "7391846", "007391846"),  # leading zeros in the text
        (ID, "4815162", "٤٨١٥١٦٢"),  # digits of another script
        (ID, "4815162", "４８１５１６２"),  # wide digits
        (ID, "1931-0427-1234", "193104271234"),  # three groups
        (DEVICE, "CTAWP71234", "AWP71234"),  # without the modality in front
        (DATE, "20240315", "15-mar-2024"),  # the month as a word
        (BIRTH, "19310427", "27.4.31"),  # two digits of the year
        (PHONE, "612 345 678", "612-345678"),  # grouped otherwise
        (PHONE, "+34 964 123 456", "0034964123456"),  # digits of a telephone number
        (PHONE, "+34 964 123 456", "964123456"),  # without the country
        (PHONE, "erika@example.org", "mail erika@example.org"),  # another way to reach somebody
    ],
)
def test_found(kind: Kind, value: str, text: str) -> None:
    assert found(kind, value, text)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (NAME, "MARIN^X", "MARINE"),  # five letters inside a longer word
        (NAME, "ROSA^X", "ROSACEA"),  # four letters inside a longer word
        (NAME, "LEE^X", "FLEET"),  # three letters inside a word
        (NAME, "LI^X", "T1 LI 3"),  # two letters among others
        (NAME, "X^Y", "X Y X"),  # initials
        (NAME, "ANONYMOUS", "ANONYMOUS"),  # de-identified before
        (NAME, "TEST^PATIENT", "TEST PATIENT"),  # nobody
        (NAME, "^^^^", "^"),  # no name
        (NAME, "MUSTERFRAU^E^^DR", "DR"),  # a title
        (NAME, "DE LA PRUEBA^X", "LA"),  # a particle
        (ID, "0", "0"),  # no number
        (ID, "00000000", "00000000"),  # no number either
        (ID, "XXXXXX", "XXXXXX"),  # nor a text
        (ID, "UNKNOWN", "unknown"),  # nor a word for it
        (ID, "481516", "1481516"),  # inside a longer number
        (ID, "481516", "4815162"),  # inside a longer number
        (ID, "4711", "AB4711"),  # four digits inside a word
        (ID, "64", "Sensation 64"),  # a short one among others
        (DEVICE, "LIGHTSPEED", "LIGHTSPEED"),  # a station named after its model
        (DEVICE, "CT1", "CT1"),  # a station of three letters
        (DATE, "19000101", "19000101"),  # the usual "no date"
        (DATE, "20240229", "120240229"),  # inside a longer number
        (DATE, "2024", "2024"),  # a year
        (PLACE, "RADIOLOGY", "RADIOLOGY"),  # says what it is, not which
        (PLACE, "SIEMENS", "SIEMENS"),  # the manufacturer in the institution's place
        (PLACE, "Hospital", "General Hospital"),  # says what it is, not which
        (PLACE, "Here Clinic", "there clinical"),  # letters beside it
        (NAME, "n.a.", "n.a."),  # not applicable
        (NAME, "N/A^n a", "N A"),  # in other spellings
        (NAME, "VAN DE^DE LA", "de la"),  # particles by themselves
        (NAME, "DR^CT^MRI", "CT MRI"),  # kinds of images
        (NAME, "LI^XU", "T1 LI 3 XU"),  # not side by side
        (NAME, "李^明", "明 CT"),  # one ideograph
        (ID, "481516", "48 15 17"),  # other digits
        (ID, "481516", "148 15 16"),  # inside a longer number, apart
        (ID, "1.2.3.4", "1234"),  # a version
        (ID, "AB111111", "111111"),  # a number of one digit
        (DATE, "20240315", "15.3.24.1"),  # a version
        (PHONE, "112", "112"),  # everybody's
    ],
)
def test_not_found(kind: Kind, value: str, text: str) -> None:
    assert not found(kind, value, text)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("20240229", "20240229"),  # DA
        ("20240229235959.123456-0500", "20240229"),  # DT
        ("2024-02-29", "20240229"),  # ISO 8601 in a DA
        ("2024.02.29", "20240229"),  # ACR-NEMA
        ("202402", ""),  # a month
        ("20241329", ""),  # no month
        ("20240200", ""),  # no day
        ("235959", ""),  # a time
        ("", ""),  # nothing
    ],
)
def test_date_digits(text: str, digits: str) -> None:
    assert date_digits(text) == digits


def test_encodings_of_an_accented_name() -> None:
    needle = needles(NAME, "Pruebáñez")[0]
    assert {"pruebáñez".encode(), b"pruebanez", "pruebáñez".encode("utf-16-le")} <= set(needle.encoded)
    assert {"PRUEBÁÑEZ".encode("latin-1"), "Pruebáñez".encode("latin-1")} <= set(needle.raw)


def test_encodings_of_ideographs_have_no_escape_sequences() -> None:
    raw = {one for needle in needles(NAME, "山田太") for one in needle.raw}
    assert {"山田太".encode("shift_jis"), "山田太".encode("euc_jp"), "山田太".encode("iso2022_jp")[3:-3]} <= raw
    assert not any(b"\x1b" in one for one in raw)
