"""Identity: what stands for a patient within a project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.profile import pseudonym
from gateway.profile.lookup import LookupTable


@dataclass(frozen=True, slots=True)
class Identity:
    """What replaces a patient's identity.

    Attributes
    ----------
    patient_format
        form of the patient pseudonym, which is written to Patient ID and Patient's Name:
        ``gateway.profile.pseudonym``; a table needs it for patients that it lacks only
    kind
        ``keyed`` computed from the project's secret; ``table`` looked up; ``sequential`` a number from the ledger
    table
        the table of patients, for ``table``
    missing
        what happens to a patient whom the table lacks: the instance is held, or the pseudonym is computed
    issuers
        ``one``: Patient IDs are of one domain, whether or not an instance names who issued them; ``distinct``:
        the same ID of another issuer is another patient
    not_ids
        values of Patient ID that are nobody's, such as ``UNKNOWN``, compared without case

    Raises
    ------
    ValueError
        the format is wrong; the text says what is
    """

    patient_format: str = "{base32:16}"
    kind: Literal["keyed", "table", "sequential"] = "keyed"
    table: LookupTable | None = None
    missing: Literal["hold", "keyed"] = "hold"
    issuers: Literal["one", "distinct"] = "one"
    not_ids: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.kind == "sequential":
            pseudonym.check_sequential(self.patient_format)
        else:
            pseudonym.check_keyed(self.patient_format)
        if (self.kind == "table") != (self.table is not None):
            raise ValueError("a table is there if and only if pseudonyms are looked up")

    def is_id(self, patient_id: str) -> bool:
        """Whether a value of Patient ID is somebody's."""
        return bool(patient_id) and patient_id.casefold() not in self.not_ids

    def patient_pseudonym(self, digest: bytes) -> str:
        """The computed pseudonym that belongs to ``digest``: 32 bytes, a keyed digest of what identifies the patient.

        Raises
        ------
        ValueError
            the digest is not 32 bytes long, or pseudonyms are numbers
        """
        if self.kind == "sequential":
            raise ValueError("this profile numbers its patients")
        return pseudonym.keyed(self.patient_format, digest)

    def numbered_pseudonym(self, number: int) -> str:
        """The pseudonym of the patient with this number, for ``sequential``.

        Raises
        ------
        ValueError
            pseudonyms are no numbers, or the number is too large
        """
        if self.kind != "sequential":
            raise ValueError("this profile does not number its patients")
        return pseudonym.sequential(self.patient_format, number)
