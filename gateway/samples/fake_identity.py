"""Fake identities: every value that a sample study carries in place of a real patient's, person's or place's.

An :class:`Identity` issues the values of one study and remembers each with its kind, so that afterwards everything
that was planted can be found again (:mod:`gateway.samples.planting`). Names are made of invented words; none is a
real person's. The same random generator gives the same values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from random import Random
from typing import Final

__all__ = ["Identity", "Kind", "Repertoire"]


class Kind(StrEnum):
    """What an identifying value is."""

    NAME = "name"
    ID = "id"
    DATE = "date"
    TIME = "time"
    UID = "uid"
    ADDRESS = "address"
    PHONE = "phone"
    INSTITUTION = "institution"
    DEVICE = "device"
    TEXT = "text"
    CHARACTERISTIC = "characteristic"


class Repertoire(StrEnum):
    """Specific Character Set (0008,0005) of a study, as the defined terms of PS3.3 C.12.1.1.2."""

    LATIN_1 = "ISO_IR 100"
    UNICODE = "ISO_IR 192"
    JAPANESE = "ISO 2022 IR 87"

    @property
    def element(self) -> str | list[str]:
        """The value of Specific Character Set; code extensions have an empty first value."""
        return ["", self.value] if self is Repertoire.JAPANESE else self.value


_GIVEN: Final = ("Samplina", "Testario", "Mockwinna", "Pretendia", "Fictorius", "Dummyanne", "Placeboris", "Inventina")
_FAMILY: Final = ("Fakenstead", "Mockbury", "Notarealson", "Placeholdt", "Testerfeld", "Imaginarini", "Pseudowicz")
_LATIN_GIVEN: Final = ("Ficticíana", "Probettíno", "Exámplia", "Simulänne", "Inventéa")
_LATIN_FAMILY: Final = ("Ejemplóñez", "Prüfmüstrer", "Falsificçon", "Inexistéñez", "Måckström")
_GREEK_GIVEN: Final = ("Δοκιμάστρια", "Παραδειγμάνα", "Φανταστίκη")
_CYRILLIC_FAMILY: Final = ("Примерченко", "Тестовников", "Вымышляева")
#: Romanised, ideographic and phonetic component groups of invented Japanese names (PS3.5 6.2.1.2).
_JAPANESE: Final = (
    ("Mihonda^Tesuko", "見本田^試験子", "みほん^てす"),
    ("Kasoda^Reiro", "仮想田^例四郎", "かそう^れい"),
    ("Mozoga^Rensumi", "模造川^練習美", "もぞう^れん"),
)
_STREETS: Final = ("Nowhere Lane", "Phantom Street", "Makebelieve Road", "Hypothetical Avenue")
_TOWNS: Final = ("Faketown", "Mockhampton", "Testville-on-Sample", "Imaginaria")
_HOSPITALS: Final = ("Saint Nobody Hospital", "Fictional Regional Clinic", "Mirage University Hospital")
_DEPARTMENTS: Final = ("Phantom Imaging", "Placebo Radiology", "Makebelieve Medicine")
_FAITHS: Final = ("Pastafakian", "Mocktheist")
_JOBS: Final = ("Unicorn groomer", "Cloud sculptor", "Moonbeam fitter")

_FIRST_DAY: Final = date(1931, 1, 1)
_DAYS: Final = 34_000


@dataclass(slots=True)
class Identity:
    """The identifying values of one study.

    Parameters
    ----------
    random
        where every choice comes from; the same state gives the same values
    repertoire
        the characters that names may have
    """

    random: Random
    repertoire: Repertoire
    #: Every value issued so far, with its kind.
    issued: dict[str, Kind] = field(default_factory=dict)

    def _issue(self, kind: Kind, value: str) -> str:
        self.issued[value] = kind
        return value

    def _digits(self, count: int) -> str:
        return "".join(self.random.choices("0123456789", k=count))

    def name(self) -> str:
        """A person's name (VR PN) in the study's repertoire."""
        pick = self.random.choice
        match self.repertoire:
            case Repertoire.JAPANESE:
                return self._issue(Kind.NAME, "=".join(pick(_JAPANESE)))
            case Repertoire.UNICODE:
                return self._issue(Kind.NAME, f"{pick(_CYRILLIC_FAMILY)}^{pick(_GREEK_GIVEN)}")
            case Repertoire.LATIN_1:
                return self._issue(Kind.NAME, f"{pick(_LATIN_FAMILY)}^{pick(_LATIN_GIVEN)}")

    def plain_name(self) -> str:
        """A person's name (VR PN) in ASCII, with prefix and middle name."""
        pick = self.random.choice
        return self._issue(Kind.NAME, f"{pick(_FAMILY)}^{pick(_GIVEN)}^{pick(_GIVEN)}^Dr")

    def number(self, prefix: str, digits: int = 8) -> str:
        """An identifier such as a patient's, order's or visit's (VR LO or SH)."""
        return self._issue(Kind.ID, f"{prefix}{self._digits(digits)}")

    def device(self, prefix: str) -> str:
        """A serial number, station name or other identifier of a device."""
        return self._issue(Kind.DEVICE, f"{prefix}{self._digits(6)}")

    def application_entity(self) -> str:
        """An application entity title (VR AE, at most 16 characters)."""
        return self._issue(Kind.DEVICE, f"FAKEPACS{self._digits(6)}")

    def date(self) -> str:
        """A date (VR DA) that this identity has not issued before."""
        while True:
            day = _FIRST_DAY + timedelta(days=self.random.randrange(_DAYS))
            value = f"{day:%Y%m%d}"
            if value not in self.issued:
                return self._issue(Kind.DATE, value)

    def time(self) -> str:
        """A time (VR TM) with a fraction, which makes it recognisable among other digits."""
        pick = self.random.randrange
        return self._issue(Kind.TIME, f"{pick(1, 24):02}{pick(60):02}{pick(60):02}.{pick(100_000, 1_000_000)}")

    def date_time(self) -> str:
        """A date and time (VR DT) with a fraction and an offset from UTC; its date counts as issued too."""
        return self._issue(Kind.TIME, f"{self.date()}{self.time()}+0130")

    def uid(self) -> str:
        """A UID below 2.25 (PS3.5 B.2)."""
        return self._issue(Kind.UID, f"2.25.{self.random.getrandbits(128) | 1 << 127}")

    def address(self) -> str:
        """A postal address."""
        pick = self.random.choice
        return self._issue(Kind.ADDRESS, f"{self.random.randrange(100, 1000)} {pick(_STREETS)}, {pick(_TOWNS)}")

    def phone(self) -> str:
        """A telephone number (VR SH) of the range reserved for fiction."""
        return self._issue(Kind.PHONE, f"+1-555-01{self._digits(2)}-{self._digits(3)}")

    def institution(self) -> str:
        """A hospital's name."""
        return self._issue(Kind.INSTITUTION, self.random.choice(_HOSPITALS))

    def department(self) -> str:
        """A department's name."""
        return self._issue(Kind.INSTITUTION, self.random.choice(_DEPARTMENTS))

    def faith(self) -> str:
        """A religious preference."""
        return self._issue(Kind.TEXT, self.random.choice(_FAITHS))

    def occupation(self) -> str:
        """An occupation (VR SH)."""
        return self._issue(Kind.TEXT, self.random.choice(_JOBS))

    def remark(self, about: str) -> str:
        """A free text that nobody else has: ``about`` and a word of random letters."""
        word = "".join(self.random.choices("bdfgklmnprstvz", k=8))
        return self._issue(Kind.TEXT, f"{about} zq{word}")

    def characteristic(self, value: str) -> str:
        """A short value such as age, sex or weight: it identifies at its own element only."""
        return self._issue(Kind.CHARACTERISTIC, value)
