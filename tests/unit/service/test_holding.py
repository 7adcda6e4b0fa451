"""Promise P2: what goes wrong with an instance holds it, whatever it is."""

from __future__ import annotations

import errno
import os
import zlib

import pytest

from gateway.errors import PseudonymMissing, RuleFailed
from gateway.treatment.treatment import holding


@pytest.mark.parametrize(
    "error",
    [
        ValueError("GARCIA^MARIA"),  # a mistake of ours or of a library
        zlib.error("GARCIA^MARIA"),  # a codec
        RecursionError("GARCIA^MARIA"),
        MemoryError("GARCIA^MARIA"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), "GARCIA^MARIA"),  # a file that cannot be mapped
    ],
)
def test_p2_foreign_errors_hold_without_their_text(error: Exception) -> None:
    with pytest.raises(RuleFailed) as caught, holding("verification"):
        raise error
    assert "verification" in str(caught.value)
    assert "GARCIA" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_errors_of_the_gateway_stay_what_they_are() -> None:
    with pytest.raises(PseudonymMissing), holding("de-identification"):
        raise PseudonymMissing(table="t", what="w", token="0")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.ENOENT])
def test_errors_of_the_disk_are_not_the_instance_s(number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)), holding("opening"):
        raise OSError(number, os.strerror(number))


def test_an_interruption_is_not_held() -> None:
    with pytest.raises(KeyboardInterrupt), holding("opening"):
        raise KeyboardInterrupt
