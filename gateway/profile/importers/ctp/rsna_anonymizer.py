"""Scripts of RSNA Anonymizer, which look like CTP's and mean something else.

Both are XML with a rule for each tag. Here an empty script keeps the element, what has no rule goes at every depth, and
the operations stand without parentheses: ``@uid``, ``@ptid``, ``@acc``, ``@hashdate``. Each is written as what it is in
CTP, so that all the rest reads one language.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["REMARK", "in_ctp", "is_dialect"]

#: Scripts that CTP would write as they stand, and RSNA Anonymizer carries out.
_OWN: Final = frozenset(("@uid", "@ptid", "@acc"))
#: What is looked for in a script, in this order -> the same in CTP.
_OPERATIONS: Final = (
    ("@remove", "@remove()"),
    ("@empty", "@empty()"),
    ("@uid", "@hashuid(@UIDROOT,this)"),
    ("@ptid", "@hash(this,16)"),
    ("@acc", "@hash(this,16)"),
    ("@hashdate", "@hashdate(this,PatientID)"),
)  # fmt: skip
#: Why such a script is not carried over as it was, and what is done instead.
REMARK: Final = (
    "of RSNA Anonymizer: an empty rule keeps, what has no rule goes, and rules that are switched off count",
    "pseudonyms and UIDs come from the project's secret; what is switched off does not count, so that it goes",
)


def is_dialect(scripts: Iterable[str]) -> bool:
    """Whether these rules are of RSNA Anonymizer: one of them is an operation that CTP does not have."""
    return any(script.strip() in _OWN for script in scripts)


def in_ctp(script: str) -> str:
    """The rule as CTP would write it; a text that is no operation is a value to CTP, which is written instead."""
    text = script.strip()
    if text in ("", "@keep"):
        return "@keep()"
    return next((meaning for operation, meaning in _OPERATIONS if operation in text), text)
