"""Received originals and de-identified outputs on disk; what is committed here survives a crash (promise P1)."""

from gateway.spool.disk import Durability
from gateway.spool.incoming import Incoming
from gateway.spool.lock import SpoolLock
from gateway.spool.output import Output
from gateway.spool.record import SpoolRecord
from gateway.spool.spool import Spool, Sweep

__all__ = ["Durability", "Incoming", "Output", "Spool", "SpoolLock", "SpoolRecord", "Sweep"]
