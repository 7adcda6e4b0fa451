"""What machines write is technical; what could be a name, a number or a day of somebody is not."""

from __future__ import annotations

import pytest

from gateway.deid.technical import is_technical

TECHNICAL = [
    # sequences, as four makers write them
    "*tfl3d1_16ns", "epfid2d1_64", "ep_b1000#4", "SEEPI2D+0.7", "gre_fsp", "T1TFE", "FSE-XL", "EFGRE3D",
    # kernels, filters, corrections
    "B70f", "STANDARD", "FC12", "BONEPLUS", "LARGE BOWTIE FIL", "0.1Cu 1Al", "PSF+TOF 2i21s", "OSEM3D 4i8s",
    # coils and transducers
    "32Ch Head", "HeadNeck_64", "8HRBRAIN", "C:HE1-4", "QD Whole Body", "C5-1", "Sel Drum 500x500",
    # makers, models, versions
    "GE MEDICAL SYSTEMS", "FUJI PHOTO FILM CO. LTD.", "MAGNETOM Prisma Fit", "uMR 770", "syngo MR XA30", "5.7.1.2",
    "MR Software release:DV26.0_R01_1725.a", "V5.0SP6000*",
    # defined terms, also with digits
    "ISO_10918_1", "ORGAN_AT_RISK", "MONOCHROME2", "CSA MPR", "FOR PRESENTATION", "M_FFE", "TRACEW", "B0 MAP",
    # substances
    "Fluorodeoxyglucose", "18F-FDG", "IV", "99mTc MDP",
    # short numbers, measures and names of attributes
    "DR TORAX", "MR BRAIN", "30 ms", "TE 30 ms TR 5",
    "64 x 64", "60", "ImagePositionPatient", "Real World Value Mapping",
]  # fmt: skip
NOT_TECHNICAL = [
    # somebody's name: whole, beside terms, with a title, short, in other scripts and with tricks
    "Marisol Etxeberria", "DRA_ETXEBERRIA", "FDG prep. Marisol", "CT PEREZ", "Head Smith", "Dr. Head", "ANA",
    "RUIZ ANA", "Lopez^Eva", "JOSE1", "M A R I S O L", "Z u r b a r a n", "ETX-EBE-RIK", "L.Z.I.", "王小明",
    "Иванова", "Ⓜⓐⓡⓘⓢⓞⓛ", "TORAXZURBARAN", "San Juan",
    # with a title without its point before a word that is known
    "Dr Braun", "T1 Ms Brown", "Mr White", "Prof Lang", "Frau Kaiser",
    # numbers, also in parts and in other digits
    "552910", "55 29 10", "5529 104", "SALA5529104", "HLAFE-5529104", "48921377K", "644-908-172", "46010", "٥٥٢٩١٠٤",
    "５５２９１０４", "A55B29C10000",
    # days and ages
    "12/02/1958", "19580212", "12FEB58", "12 II 1958", "12.02.58", "1958-02-12", "93Y", "93 years", "12 1990",
    # addresses
    "marisol@correo.es", "http://pacs/x", "www.lafe.es", "10.20.30.40",
    # too long for a value of a machine
    "T1 " * 400,
]  # fmt: skip


@pytest.mark.parametrize("text", TECHNICAL)
def test_technical(text: str) -> None:
    assert is_technical(text)


@pytest.mark.parametrize("text", NOT_TECHNICAL)
def test_not_technical(text: str) -> None:
    assert not is_technical(text)


def test_words_of_the_site_are_known() -> None:
    assert not is_technical("Zapatec 3T")
    assert is_technical("Zapatec 3T", frozenset({"zapatec"}))


@pytest.mark.parametrize("text", ["hombre", "Gitano", "mannlich", "race refused"])
def test_words_that_describe_a_patient_are_known_there(text: str) -> None:
    assert is_technical(text, of_patient=True)
    assert not is_technical(text)
