"""``python -m tests.crash.entry``: the gateway's command line with its crash points in place.

Children of the gateway import the main module of their parent again, so the points are in place there as well.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from gateway.cli.app import main
from gateway.service import supervisor
from tests.crash.points import CONTROL, install

# For what the environment asks it to break.
import_module("tests.sabotage")
install(Path(os.environ[CONTROL]))
# Retention is over at once in these tests; a minute until it is looked at would be too long.
supervisor._HOUSEKEEPING_SECONDS = 0.5  # type: ignore[misc]
# As would be the pause before a process that dies again and again is started once more.
supervisor._LONGEST_RESTART_PAUSE = 0.5  # type: ignore[misc]

if __name__ == "__main__":
    main()
