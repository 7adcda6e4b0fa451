"""``python -m tests.sabotaged``: the gateway's command line with the mechanism broken that ``SABOTAGE`` names.

Children of the gateway import the main module of their parent again, so that it is broken in there as well.
"""

from __future__ import annotations

from importlib import import_module

from gateway.cli.app import main

import_module("tests.sabotage")

if __name__ == "__main__":
    main()
