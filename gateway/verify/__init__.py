"""The verify room: nothing leaves that has not passed the leak scan and the assertion of its profile."""

from __future__ import annotations

from gateway.dicom.identifying import Kind
from gateway.verify.harvest import Finding, Harvest, harvest
from gateway.verify.verifier import Verifier

__all__ = ["Finding", "Harvest", "Kind", "Verifier", "harvest"]
