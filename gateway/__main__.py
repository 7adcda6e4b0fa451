"""``python -m gateway``: the command line."""

from __future__ import annotations

if __name__ == "__main__":
    # The children of a gateway import this module under another name, and need no command line.
    from gateway.cli.app import main

    main()
