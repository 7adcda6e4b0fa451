"""Sending samples over DIMSE as a PACS does: one association per study (PS3.4 annex B)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.association.command_set import c_store_request
from gateway.association.requestor import Association, Node, Pair
from gateway.dicom.file_meta import read_file_meta
from gateway.dicom.segments import FileRange
from gateway.errors import DeliveryFailed
from gateway.samples.sample_study import Sample

__all__ = ["SendReport", "Sent", "send"]

#: Success and the warnings of the Storage Service Class (PS3.4 table B.2-1): the peer has taken the instance.
_TAKEN: Final = frozenset({0x0000, 0xB000, 0xB006, 0xB007})
_ANSWER_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one sample: the C-STORE status, or None and why there is none."""

    sample: Sample
    status: int | None
    problem: str = ""

    @property
    def taken(self) -> bool:
        """Whether the peer acknowledged the instance."""
        return self.status in _TAKEN


@dataclass(frozen=True, slots=True)
class SendReport:
    """What became of every sample."""

    sent: tuple[Sent, ...]

    @property
    def taken(self) -> tuple[Sample, ...]:
        """The samples that the peer acknowledged."""
        return tuple(one.sample for one in self.sent if one.taken)

    @property
    def refused(self) -> tuple[Sent, ...]:
        """Those that it did not."""
        return tuple(one for one in self.sent if not one.taken)


def send(
    samples: Iterable[Sample], *, host: str, port: int, calling_ae: str, called_ae: str, console: Console | None = None
) -> SendReport:
    """Send every sample as it is encoded: nothing is transcoded for a peer that does not accept a transfer syntax.

    Parameters
    ----------
    samples
        those of one study stand together.
    host
        name or address of the peer.
    port
        its TCP port.
    calling_ae
        our application entity title.
    called_ae
        the peer's.
    console
        where a progress bar appears, if it is a terminal.

    Returns
    -------
    A report; faults of the network and of the peer are in it and raise nothing.
    """
    node = Node(
        destination=called_ae,
        host=host,
        port=port,
        called_ae=called_ae,
        calling_ae=calling_ae,
        timeout_seconds=_ANSWER_SECONDS,
    )
    everything = list(samples)
    sent: list[Sent] = []
    with TemporaryDirectory(prefix="gateway-samples-") as folder, _progress(console) as progress:
        task = progress.add_task("Sending", total=len(everything))
        for _, study in groupby(everything, key=attrgetter("study")):
            instances = list(study)
            association = _associate(node, instances)
            try:
                for sample in instances:
                    sent.append(_store(association, sample, Path(folder)))
                    progress.advance(task)
            finally:
                if isinstance(association, Association):
                    association.release()
    return SendReport(tuple(sent))


def _associate(node: Node, samples: Sequence[Sample]) -> Association | str:
    """An association for the samples, or why there is none."""
    try:
        return Association(node, list(dict.fromkeys(map(_pair, samples))))
    except DeliveryFailed as error:
        rejected = error.facts["code"] == "association-rejected"
        return "the association was rejected" if rejected else "no association"


def _store(association: Association | str, sample: Sample, folder: Path) -> Sent:
    if isinstance(association, str):
        return Sent(sample, None, association)
    if not association.is_open:
        return Sent(sample, None, "no association")
    if _pair(sample) in association.refused:
        return Sent(sample, None, "the peer does not accept its SOP class in its transfer syntax")
    path = sample.write(folder)
    try:
        content = path.read_bytes()
        meta, start = read_file_meta(content)
        command = c_store_request(association.next_message_id(), meta.sop_class_uid, meta.sop_instance_uid)
        data_set = FileRange(path, start, len(content) - start)
        return Sent(sample, association.exchange(_pair(sample), command, [data_set]).status)
    except DeliveryFailed:
        return Sent(sample, None, "no answer, or the association was aborted")
    finally:
        path.unlink()


def _pair(sample: Sample) -> Pair:
    return sample.sop_class_uid, sample.transfer_syntax


def _progress(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=console is None or not console.is_terminal,
        transient=True,
    )
