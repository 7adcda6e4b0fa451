"""``gateway run``."""

from __future__ import annotations

import os

from gateway.cli.options import ConfigFile
from gateway.config import load_settings
from gateway.log import configure_logging


def run(config: ConfigFile = None) -> None:
    """Receive, de-identify and deliver until told to stop (SIGTERM or Ctrl-C)."""
    from gateway.pipeline.supervisor import Supervisor

    settings = load_settings(config, os.environ)
    configure_logging(settings.log)
    Supervisor(settings).run()
