"""Delivery: destinations behind one small interface, and when to try again."""

from gateway.deliver.base import Check, Destination, Outcome, OutcomeState, Parcel, Probing
from gateway.deliver.build import build_destination
from gateway.deliver.dicom_node import DicomNodeDestination, NodeOptions
from gateway.deliver.folder import FolderDestination, output_path
from gateway.deliver.mock import MockDestination
from gateway.deliver.retry import RetryPolicy
from gateway.deliver.stow import StowDestination, StowOptions
from gateway.deliver.xnat import XnatDestination, XnatOptions

__all__ = [
    "Check",
    "Destination",
    "DicomNodeDestination",
    "FolderDestination",
    "MockDestination",
    "NodeOptions",
    "Outcome",
    "OutcomeState",
    "Parcel",
    "Probing",
    "RetryPolicy",
    "StowDestination",
    "StowOptions",
    "XnatDestination",
    "XnatOptions",
    "build_destination",
    "output_path",
]
