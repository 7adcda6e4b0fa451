"""What reading and writing pixel data may cost: the sections ``pixels`` and ``deface`` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.sections.section import ByteSize, Form, Seconds, Section, Text

#: What runs the networks that find text.
TextProvider = Literal["cpu", "openvino", "cuda"]


class PixelSettings(Section):
    """What reading and writing the frames of an image may take; beyond that the instance is held.

    And how text is looked for: the networks run in each process that treats pixels.
    """

    frame_bytes: Annotated[ByteSize, Field(ge=1024)] = Field(512 * 1024**2, description="size of a frame, uncompressed")
    decode_seconds: Seconds = Field(
        2.0, description="processor time that a codec has for a frame, and a second more for every 4 million samples"
    )
    memory_bytes: Annotated[ByteSize, Field(ge=64 * 1024**2)] = Field(
        4 * 1024**3, description="memory that a codec has; each process that treats pixels runs one"
    )
    confinement: Literal["required", "preferred"] = Field(
        "required",
        description="whether codecs run where the kernel cannot take system calls from their process (seccomp): "
        "required = no, the gateway does not start; preferred = yes, and the log and /readyz say so",
    )
    text_threads: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="threads with which each process that treats pixels looks for text"
    )
    text_provider: TextProvider = Field(
        "cpu", description="what runs the networks that find text; others than `cpu` need their build of onnxruntime"
    )


class FaceSettings(Section):
    """How faces are taken out of whole series of CT and MR, where a profile has the rule `deface`."""

    command: Annotated[tuple[Text, ...], Field(min_length=1), Form("list of texts")] | None = Field(
        None,
        description="program that finds the face, with its arguments, to which a folder to read and a folder to write "
        "are added; by default the one of the extra `deface`",
        examples=[["/opt/deface/run"]],
    )
    quiet_seconds: Seconds = Field(
        120.0, description="a series is complete when none of its instances was received for so long"
    )
    seconds: Seconds = Field(600.0, description="time that the program has for a series")
    memory_bytes: Annotated[ByteSize, Field(ge=256 * 1024**2)] = Field(
        4 * 1024**3, description="memory that the program has"
    )
