"""Gives a target the inputs of directories: ``python -m tests.fuzz.replay TARGET DIRECTORY...``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS, close


def main() -> None:
    """Run the target on every input."""
    target = TARGETS[sys.argv[1]]
    try:
        for folder in sys.argv[2:]:
            for path in sorted(Path(folder).iterdir()):
                target.run(path.read_bytes())
    finally:
        close()


if __name__ == "__main__":
    main()
