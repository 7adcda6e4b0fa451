"""Labels of subjects and sessions.

XNAT rewrites a label: every character outside ``[A-Za-z0-9_-]`` becomes ``_``, and it finds subjects without regard to
case. Two pseudonyms such as ``a.b`` and ``a_b`` would become one subject, and data of two patients would lie together.
So the gateway sends only labels that XNAT leaves as they are, and gives a pseudonym that needs rewriting a suffix made
from all of it.
"""

from __future__ import annotations

import re
from base64 import b32encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

#: Labels are part of file names on the server and of its URLs.
LONGEST: Final = 64
_DIGEST_CHARACTERS: Final = 10
_REWRITTEN: Final = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Labels:
    """What a study's subject and session are called in XNAT; neither is changed by XNAT's rewriting."""

    subject: str
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTemplates:
    """How labels are made.

    Attributes
    ----------
    subject
        text with ``{patient}``
    session
        text with ``{study}`` and, if wanted, ``{patient}``; with the study in it, no two studies share a session
    """

    subject: str = "{patient}"
    session: str = "{patient}-{study}"

    def of(self, *, patient_id: str, study_uid: str) -> Labels:
        """The labels of a study.

        Parameters
        ----------
        patient_id
            the pseudonym, not empty
        study_uid
            the new Study Instance UID
        """
        return Labels(
            subject=xnat_label(self.subject.replace("{patient}", patient_id)),
            session=xnat_label(self.session.replace("{study}", _digest(study_uid)).replace("{patient}", patient_id)),
        )


def xnat_label(text: str) -> str:
    """``text`` itself if XNAT leaves it alone; else rewritten as XNAT does, with a suffix that keeps it distinct.

    At most 64 characters. Different texts have different labels, but for case: see ``StudyDelivery``.
    """
    if len(text) <= LONGEST and not _REWRITTEN.search(text):
        return text
    return f"{_REWRITTEN.sub('_', text)[: LONGEST - _DIGEST_CHARACTERS - 1]}-{_digest(text)}"


def session_beside(template: str, session: str, modality: str) -> str:
    """The label of a session beside that of a study, for instances of another modality.

    Parameters
    ----------
    template
        text with ``{session}`` and, if wanted, ``{modality}``
    session
        label of the study's session
    modality
        as in ``SR``
    """
    return xnat_label(template.replace("{session}", session).replace("{modality}", modality))


def note_of(study_uid: str) -> str:
    """The name of the note that a session is of this study, where a script has changed the UID that XNAT shows."""
    return f"study-{sha256(study_uid.encode('ascii')).hexdigest()[:32]}.txt"


def _digest(text: str) -> str:
    """50 bits: among a million studies of one patient two share it with a probability below one in two thousand."""
    return b32encode(sha256(text.encode("utf-8")).digest()).decode("ascii")[:_DIGEST_CHARACTERS]
