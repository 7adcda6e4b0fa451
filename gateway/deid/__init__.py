"""Applying a program to instances: identity, dummies, UIDs, stamps. Knows no network and no database."""

from gateway.deid.engine import Deidentified, Deidentifier
from gateway.deid.identity import ProjectKey

__all__ = ["Deidentified", "Deidentifier", "ProjectKey"]
