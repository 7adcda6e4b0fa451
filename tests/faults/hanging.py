"""``python -m tests.faults.hanging``: the gateway's command line, whose workers hang on one instance.

They hang in native code that does not let go of the interpreter, so that no other thread of theirs runs. Children of
the gateway import the main module of their parent again: they hang as well.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.cli.app import main
from gateway.treatment.treatment import Admission, Treatment

#: Calling AE title of whoever sends what nobody comes to an end with.
HANGS: Final = "HANGS"

_admit = Treatment.admit


def _hang(self: Treatment, instance: Any, sender: Any = None) -> Admission:
    if (sender or {}).get("calling_ae") == HANGS:
        re.match(r"(a|aa)+$", "a" * 100 + "!")
    return _admit(self, instance, sender)


setattr(Treatment, "admit", _hang)  # noqa: B010  (a method of the class)

if __name__ == "__main__":
    main()
