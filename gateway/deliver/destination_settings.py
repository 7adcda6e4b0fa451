"""What the settings of every kind of destination have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import AliasChoices, Field, StrictBool

from gateway.sections.section import Count, Seconds, Section, Text


class Completeness(Section):
    """When a study is whole: nothing of it goes to the destination before. A study may still grow afterwards."""

    quiet_seconds: Seconds = Field(120.0, description="time after which a study that got no instance is whole")
    expected_instances: Count | None = Field(
        None, description="instances with which a study is whole at once", examples=[2]
    )


class DestinationSettings(Section):
    """The section of a destination, which is what it is made from and what it is delivered to by.

    Attributes
    ----------
    codes
        codes of outcomes that did not arrive, besides those of ``gateway.deliver.codes`` that every kind has
    outages
        those of them that concern the destination as a whole
    """

    codes: ClassVar[frozenset[str]] = frozenset()
    outages: ClassVar[frozenset[str]] = frozenset()

    type: str
    when: Text | None = Field(
        None,
        description="condition in CEL on the elements of the original: which instances go there; every one by default",
        examples=["Modality in ['CR', 'DX']"],
    )
    accepts_identified: StrictBool = Field(
        False,
        validation_alias=AliasChoices("accepts_identified", "accepts-identified"),
        description="take instances of profiles that say `identified: true`, which name the patient",
    )
    completeness: Completeness | None = Field(
        None, description="send whole studies only; instances as they come by default"
    )
    transfer_syntax: Literal["as-is", "explicit", "jpeg-ls", "jpeg-2000", "htj2k", "rle"] = Field(
        "as-is",
        description="encoding of the images that are sent: `as-is`, Explicit VR Little Endian, or compressed without "
        "loss; what the syntax cannot hold goes in Explicit VR Little Endian",
    )

    @property
    def can_be_asked(self) -> bool:
        """Whether it can tell if it has an instance, so that one that was sent again is sent there if it has not."""
        return False

    @property
    def threads(self) -> int:
        """Batches that are delivered at the same time."""
        return 1

    @property
    def mixes_studies(self) -> bool:
        """Whether a batch may be of several studies, where one has few instances that are due."""
        return False

    @property
    def quiet_seconds(self) -> float | None:
        """Without ``completeness``: how long more of a study may come after the last; None where that is nothing to it.

        Only destinations ask that do not deliver whole studies, and yet do something when a study is complete.
        """
        return None

    @property
    def batch_instances(self) -> int:
        """Most instances of a batch."""
        return 50

    @property
    def batch_bytes(self) -> int:
        """Most bytes of a batch; a larger instance is a batch of its own."""
        return 256 * 1024**2

    def warnings(self) -> Iterator[str]:
        """What is allowed and hardly meant."""
        yield from ()

    def key_files(self) -> Iterator[tuple[str, Path]]:
        """The files of private keys, each with the key below which it is named."""
        yield from ()

    def ports(self) -> Iterator[tuple[str, int]]:
        """The ports that the destination listens on, each with its key."""
        yield from ()


class NetworkedSettings(DestinationSettings):
    """A destination whose settings say how much is on its way at the same time."""

    # Each kind has its own limits for these, and its own words.
    if TYPE_CHECKING:
        connections: int
        max_instances: int
        max_bytes: int

    @property
    def threads(self) -> int:
        """Batches that are delivered at the same time."""
        return self.connections

    @property
    def batch_instances(self) -> int:
        """Most instances of a batch."""
        return self.max_instances

    @property
    def batch_bytes(self) -> int:
        """Most bytes of a batch; a larger instance is a batch of its own."""
        return self.max_bytes
