"""Sample studies with fake identities planted everywhere a real one could sit, and the check that they are gone."""

from __future__ import annotations

from gateway.samples.arrival import Archive, Arrived, DicomWebArchive, FolderArchive
from gateway.samples.command import Run, run_samples
from gateway.samples.fake_identity import Kind
from gateway.samples.planting import Planted
from gateway.samples.sample_check import CheckReport, Finding, check, examine, print_report
from gateway.samples.sample_study import Sample, generate
from gateway.samples.send import SendReport, Sent, send

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
