"""One decoder process for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.pixels.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as found:
        yield found
