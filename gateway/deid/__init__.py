"""Applying a program to instances: identity, dummies, UIDs, stamps. Knows no network and no database."""

from gateway.deid.engine import Deidentifier
from gateway.deid.outcome import Deidentified
from gateway.deid.project_key import ProjectKey

__all__ = ["Deidentified", "Deidentifier", "ProjectKey"]
