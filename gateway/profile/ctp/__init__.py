"""Coming from RSNA CTP: its scripts become profiles."""

from __future__ import annotations

from gateway.profile.ctp.importing import Imported, import_ctp
from gateway.profile.ctp.model import NotCarried

__all__ = ["Imported", "NotCarried", "import_ctp"]
