"""What the ledger keeps of a held instance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.deid import ProjectKey
from gateway.errors import BurnedInTextSuspected
from gateway.treatment.circumstances import about
from tests.fixtures.treating import US, image, noise, opened, stored

KEY = ProjectKey(b"k" * 32)
HELD = BurnedInTextSuspected(reason="text", boxes=((1, 2, 3, 4),), left=((5, 5, 1, 1),))


@pytest.mark.parametrize(
    ("values", "maker", "model"),
    [
        ({"Manufacturer": "ACME", "ManufacturerModelName": "Sono 3"}, "ACME", "Sono 3"),
        ({}, "", ""),
        # somebody wrote there whose machine it was looking at
        ({"Manufacturer": "ACME", "ManufacturerModelName": "mockbury testario"}, "ACME", ""),
        ({"Manufacturer": "MRN-4711", "ManufacturerModelName": "Sono 3"}, "", "Sono 3"),
        # a model is no number that resembles one
        ({"Manufacturer": "ACME", "ManufacturerModelName": "Sono 3", "PatientID": "5309"}, "ACME", "Sono 3"),
    ],
)
def test_devices_without_identity(tmp_path: Path, values: dict[str, Any], maker: str, model: str) -> None:
    source = image(noise(2, 40, 60), US, Modality="US", **values)
    with opened(stored(tmp_path, source)) as instance:
        found = about(instance, KEY, HELD)
    assert (found.maker, found.model, found.modality) == (maker, model, "US")
    assert (found.rows, found.columns, found.frames, found.size) == (40, 60, 2, "60x40")
    assert (found.boxes, found.left) == (((1, 2, 3, 4),), ((5, 5, 1, 1),))


def test_studies_and_series_have_keys_that_tell_nothing(tmp_path: Path) -> None:
    with opened(stored(tmp_path, image(noise(40, 60), US))) as instance:
        found, other = about(instance, KEY, HELD), about(instance, ProjectKey(b"x" * 32), HELD)
    assert found.study_key not in ("", found.series_key, other.study_key)
    assert "1.2.276" not in found.study_key + found.series_key
