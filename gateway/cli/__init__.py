"""The command line: thin commands over the other rooms."""

from __future__ import annotations

import sys

__all__: list[str] = []

if sys.flags.optimize > 1:
    sys.exit(
        "gateway: the texts of errors and commands are docstrings, which python -OO and PYTHONOPTIMIZE=2 take away: "
        "start without"
    )
