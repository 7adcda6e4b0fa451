"""What is searched for, and what counts as found."""

from __future__ import annotations

import pytest

from gateway.dicom.identifying import Kind
from gateway.verify.fold import squash
from gateway.verify.needle import date_digits, needles

NAME, ID, DEVICE, DATE, BIRTH = Kind.NAME, Kind.ID, Kind.DEVICE, Kind.DATE, Kind.BIRTH_DATE
PLACE, ADDRESS, PHONE = Kind.INSTITUTION, Kind.ADDRESS, Kind.PHONE


def found(kind: Kind, value: str, text: str) -> bool:
    return any(needle.found_in(squash(text)) for needle in needles(kind, value))


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
    (needle,) = needles(NAME, "Pruebáñez")
    assert {"pruebáñez".encode(), b"pruebanez", "pruebáñez".encode("utf-16-le")} <= set(needle.encoded)
    assert {"PRUEBÁÑEZ".encode("latin-1"), "Pruebáñez".encode("latin-1")} <= set(needle.raw)


def test_encodings_of_ideographs_have_no_escape_sequences() -> None:
    raw = {one for needle in needles(NAME, "山田太") for one in needle.raw}
    assert {"山田太".encode("shift_jis"), "山田太".encode("euc_jp"), "山田太".encode("iso2022_jp")[3:-3]} <= raw
    assert not any(b"\x1b" in one for one in raw)
