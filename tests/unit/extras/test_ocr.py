"""What finding text needs, and what is said where it is missing."""

from __future__ import annotations

import hashlib
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError

import pytest

from gateway.extras import ocr, wheel_data


def test_everything_is_installed_here() -> None:
    assert ocr.missing() is None
    for name, digest in ocr.MODELS.items():
        path = ocr.model_path(name)
        assert path is not None
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == "onnxruntime" else ModuleSpec(name, None)

    monkeypatch.setattr(wheel_data, "find_spec", find)
    message = str(ocr.missing())
    assert "needs onnxruntime;" in message
    assert "pip install 'deid-gateway[ocr]' && pip install --no-deps" in message


def test_missing_models_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(wheel_data, "distribution", absent)
    assert "the models of rapidocr-onnxruntime 1.4.4" in str(ocr.missing())


def test_unknown_model_is_none() -> None:
    assert ocr.model_path("no-such-model.onnx") is None
