"""Applying a program to instances: identity, dummies, UIDs, stamps. Knows no network and no database."""

from gateway.deid.engine import Deidentifier
from gateway.deid.identity import ProjectKey
from gateway.deid.outcome import Deidentified

__all__ = ["Deidentified", "Deidentifier", "ProjectKey"]
