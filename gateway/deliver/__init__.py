"""Delivery: destinations behind one small interface, and when to try again."""

from gateway.deliver.base import Destination, Outcome, OutcomeState, Parcel
from gateway.deliver.build import build_destination
from gateway.deliver.folder import FolderDestination, output_path
from gateway.deliver.mock import MockDestination
from gateway.deliver.retry import RetryPolicy
from gateway.deliver.stow import StowDestination, StowOptions

__all__ = [
    "Destination",
    "FolderDestination",
    "MockDestination",
    "Outcome",
    "OutcomeState",
    "Parcel",
    "RetryPolicy",
    "StowDestination",
    "StowOptions",
    "build_destination",
    "output_path",
]
