"""What reading and writing pixel data may cost: the section ``pixels`` of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.setting import ByteSize, Seconds, Section


class PixelSettings(Section):
    """What reading and writing the frames of an image may take; beyond that the instance is held."""

    frame_bytes: Annotated[ByteSize, Field(ge=1024)] = Field(512 * 1024**2, description="size of a frame, uncompressed")
    decode_seconds: Seconds = Field(
        2.0, description="processor time that a codec has for a frame, and a second more for every 4 million samples"
    )
    memory_bytes: Annotated[ByteSize, Field(ge=64 * 1024**2)] = Field(
        4 * 1024**3, description="memory that a codec has; each process that treats pixels runs one"
    )
