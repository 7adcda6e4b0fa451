"""The two neural networks, loaded from files whose content is known."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from gateway.errors import ConfigurationError
from gateway.extras import ocr
from gateway.settings.pixel_settings import PixelSettings, TextProvider

__all__ = ["Network", "provider_name"]

#: onnxruntime's level of messages that are errors; what it says of an image must not reach a log.
_ERRORS: Final = 3
#: What runs a network -> its name in onnxruntime, and the package that brings it.
_PROVIDERS: Final[dict[TextProvider, tuple[str, str]]] = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
}


class Network:
    """A network with one input and one output.

    Parameters
    ----------
    name
        its file's name in ``ocr.MODELS``
    settings
        how many threads it has, and what runs it

    Raises
    ------
    ConfigurationError
        the file is missing or is not the one that is known, or what shall run it is not installed
    """

    def __init__(self, name: str, settings: PixelSettings) -> None:
        path = ocr.model_path(name)
        if path is None:
            raise ConfigurationError(place="find-text", problem=ocr.missing() or f"the model {name} is missing")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != ocr.MODELS[name]:
            raise ConfigurationError(
                place="find-text",
                problem=f"the model {name} is not that of {ocr.MODELS_DISTRIBUTION} {ocr.MODELS_VERSION}",
            )
        provider = provider_name(settings.text_provider)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.text_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS
        self._session = onnxruntime.InferenceSession(content, options, providers=[provider])
        self._input: str = self._session.get_inputs()[0].name

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The output for ``batch`` of shape (images, channels, rows, columns)."""
        (output,) = self._session.run(None, {self._input: batch})
        return np.asarray(output, dtype=np.float32)

    def described(self, key: str) -> str:
        """The text that the model's file holds under ``key``; empty if there is none."""
        return str(self._session.get_modelmeta().custom_metadata_map.get(key, ""))


def provider_name(provider: TextProvider) -> str:
    """The name that onnxruntime has for ``provider``.

    Raises
    ------
    ConfigurationError
        the installed onnxruntime does not have it
    """
    name, package = _PROVIDERS[provider]
    if name not in onnxruntime.get_available_providers():
        raise ConfigurationError(
            place="pixels.text_provider",
            problem=f"{provider} is not in the installed onnxruntime; install {package} in its place",
        )
    return name
