"""Parametric maps pass without being looked at, unless something else may hide in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from gateway.errors import GatewayError, HeldByPixelRule, PixelsUnreadable
from gateway.pixels.measured import is_measured
from gateway.pixels.sandbox import Sandbox
from tests.fixtures.treating import image, opened, program, stored, treat

PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
VALUES = np.linspace(0, 3000, 2 * 16 * 16)


def parametric(**values: Any) -> Dataset:
    """A map of two frames."""
    found = image(np.zeros((16, 16), "<u2"), PARAMETRIC_MAP, NumberOfFrames=2, BitsAllocated=32)
    del found.PixelData
    found.FloatPixelData = VALUES.astype("<f4").tobytes()
    for keyword, value in values.items():
        if value is None:
            del found[keyword]
        else:
            setattr(found, keyword, value)
    return found


def is_taken(folder: Path, dataset: Dataset) -> bool:
    with opened(stored(folder, dataset)) as instance:
        return is_measured(instance)


@pytest.mark.parametrize(
    "values",
    [
        {},  # single precision
        {"FloatPixelData": None, "DoubleFloatPixelData": VALUES.astype("<f8").tobytes()},  # double
        {"BurnedInAnnotation": "NO"},
        {"FloatPixelData": np.full(512, 12.078431, "<f4").tobytes()},  # ``AAAA`` over and over
    ],
)
def test_measurements(tmp_path: Path, values: dict[str, Any]) -> None:
    assert is_taken(tmp_path, parametric(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},  # another class
        {"BurnedInAnnotation": "YES"},  # it says that text is burned in
        {"FloatPixelData": VALUES.astype("<f4").tobytes() + b"MARISOL ETXEBERR"},  # more than the frames hold
        {"FloatPixelData": VALUES[:-4].astype("<f4").tobytes() + b"Marisol Etxeberr"},  # letters among the numbers
        {"NumberOfFrames": 3},  # less
        {"NumberOfFrames": None},
        {"PixelData": b"\0\0"},  # pixels of two kinds
        {"DoubleFloatPixelData": bytes(8 * 512)},
    ],
)
def test_what_is_not_taken(tmp_path: Path, values: dict[str, Any]) -> None:
    assert not is_taken(tmp_path, parametric(**values))


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ("", None),  # no rule
        ("pixels:\n  - find-text: {blank: all, when-unsure: hold}\n", None),  # there is nothing to look at
        ("pixels:\n  - mask: [[0, 0, 4, 4]]\n", PixelsUnreadable),  # a rule that cannot be carried out
        ("pixels:\n  - hold: true\n    because: reviewed\n", HeldByPixelRule),  # the profile wants a person
    ],
)
def test_rules(tmp_path: Path, sandbox: Sandbox, rules: str, error: type[GatewayError] | None) -> None:
    path, using = stored(tmp_path, parametric()), program(tmp_path, rules)
    if error is None:
        assert treat(path, using, sandbox=sandbox).dataset.FloatPixelData == VALUES.astype("<f4").tobytes()
    else:
        with pytest.raises(error):
            treat(path, using, sandbox=sandbox)
