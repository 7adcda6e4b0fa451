"""``gateway run``."""

from __future__ import annotations

import os

from gateway.cli.shared_options import ConfigFile
from gateway.log import configure_logging
from gateway.settings.configuration import load_settings


def run(config: ConfigFile = None) -> None:
    """Receive, de-identify and deliver until told to stop (SIGTERM or Ctrl-C)."""
    from gateway.console.serving import serve
    from gateway.service.forking import fork_the_server
    from gateway.service.supervisor import Supervisor

    settings = load_settings(config, os.environ)
    configure_logging(format=settings.log.format, level=settings.log.level)
    # Everything is imported, there are no threads yet, and nothing is open.
    fork_the_server()
    Supervisor(settings, serve).run()
