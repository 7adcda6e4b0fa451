"""The engine of the Common Expression Language, without the command line that its package loads with it.

That command line brings Prompt Toolkit and Rich: a fifth of a second and some 10 MB for each process of the gateway and
for each command, and nothing here uses it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Final

__all__ = ["cel"]

_COMMAND_LINE: Final = "cel.cli"

if "cel" in sys.modules:
    import cel
else:
    # What stands here already is not loaded.
    sys.modules[_COMMAND_LINE] = ModuleType(_COMMAND_LINE)
    import cel

    del sys.modules[_COMMAND_LINE], cel.cli
