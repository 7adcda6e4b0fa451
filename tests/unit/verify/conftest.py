"""Fixtures of the verify room."""

from __future__ import annotations

import pytest

from gateway.profile import Program, load_profile, shipped_profiles


@pytest.fixture(scope="session")
def basic() -> Program:
    return load_profile("basic", search=[shipped_profiles()])
