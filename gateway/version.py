"""The version of the gateway and how it names itself in what it writes."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"

#: How outputs name the software in (0012,0063) De-identification Method.
SOFTWARE: Final = f"deid-gateway {__version__}"

#: How it names itself to web servers: what looks like a browser is asked for a token against cross-site requests.
USER_AGENT: Final = f"deid-gateway/{__version__}"
