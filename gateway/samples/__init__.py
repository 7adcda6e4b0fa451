"""Sample studies with fake identities planted everywhere a real one could sit, and the check that they are gone."""

from __future__ import annotations

from gateway.samples.archive import Archive, Arrived, DicomWebArchive, FolderArchive
from gateway.samples.check import CheckReport, Finding, check, examine, print_report
from gateway.samples.command import Run, run_samples
from gateway.samples.identity import Kind
from gateway.samples.planting import Planted
from gateway.samples.send import SendReport, Sent, send
from gateway.samples.study import Sample, generate

__all__ = [
    "Archive",
    "Arrived",
    "CheckReport",
    "DicomWebArchive",
    "Finding",
    "FolderArchive",
    "Kind",
    "Planted",
    "Run",
    "Sample",
    "SendReport",
    "Sent",
    "check",
    "examine",
    "generate",
    "print_report",
    "run_samples",
    "send",
]
