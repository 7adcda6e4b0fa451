"""Runs one target under atheris, in its own process: ``python -m tests.fuzz.harness TARGET [libFuzzer options]``."""

from __future__ import annotations

import logging
import sys

import atheris
import structlog

with atheris.instrument_imports(include=["gateway"]):
    from tests.fuzz.targets import TARGETS, close


def main() -> None:
    """Run the target that the first argument names until libFuzzer's options end it."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target.run)
    try:
        atheris.Fuzz()
    finally:
        close()


if __name__ == "__main__":
    main()
