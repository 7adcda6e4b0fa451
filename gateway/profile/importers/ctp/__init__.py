"""Coming from RSNA CTP: its scripts become profiles."""

from __future__ import annotations

from gateway.profile.importers.ctp.importing import Imported, import_ctp
from gateway.profile.importers.ctp.model import NotCarried

__all__ = ["Imported", "NotCarried", "import_ctp"]
