"""Pixel data: reading and writing frames, areas that go, text that is found, what a person decides."""

from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.frames import FrameReader, open_frames
from gateway.pixels.pixel_check import check_pixels
from gateway.pixels.pixel_treatment import PixelOutcome, PixelTreatment
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.syntaxes import output_syntax
from gateway.pixels.writing import FrameWriter

__all__ = [
    "FrameReader",
    "FrameWriter",
    "PixelDescription",
    "PixelOutcome",
    "PixelTreatment",
    "Sandbox",
    "check_pixels",
    "describe",
    "open_frames",
    "output_syntax",
]
