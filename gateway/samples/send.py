"""Sending samples over DIMSE as a PACS does: one association per study (PS3.4 annex B)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.samples.study import Sample

__all__ = ["SendReport", "Sent", "send"]

#: Success and the warnings of the Storage Service Class (PS3.4 table B.2-1): the peer has taken the instance.
_TAKEN: Final = frozenset({0x0000, 0xB000, 0xB006, 0xB007})
_CONNECT_SECONDS: Final = 10.0
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

    Args:
        samples: those of one study stand together.
        host: name or address of the peer.
        port: its TCP port.
        calling_ae: our application entity title.
        called_ae: the peer's.
        console: where a progress bar appears, if it is a terminal.

    Returns:
        A report; faults of the network and of the peer are in it and raise nothing.
    """
    entity = AE(ae_title=calling_ae)
    entity.connection_timeout = _CONNECT_SECONDS
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _ANSWER_SECONDS
    everything = list(samples)
    sent: list[Sent] = []
    with (
        _as_encoded(),
        TemporaryDirectory(prefix="gateway-samples-") as folder,
        _progress(console) as progress,
    ):
        task = progress.add_task("Sending", total=len(everything))
        for _, study in groupby(everything, key=attrgetter("study")):
            instances = list(study)
            association = entity.associate(host, port, contexts=_contexts(instances), ae_title=called_ae)
            try:
                for sample in instances:
                    sent.append(_store(association, sample, Path(folder)))
                    progress.advance(task)
            finally:
                if association.is_established:
                    association.release()
    return SendReport(tuple(sent))


def _store(association: Association, sample: Sample, folder: Path) -> Sent:
    if association.is_rejected:
        return Sent(sample, None, "the association was rejected")
    if not association.is_established:
        return Sent(sample, None, "no association")
    path = sample.write(folder)
    try:
        status = association.send_c_store(path).get("Status")
    except (ValueError, RuntimeError):
        return Sent(sample, None, "the peer does not accept its SOP class in its transfer syntax")
    finally:
        path.unlink()
    return Sent(sample, status, "" if status is not None else "no answer, or the association was aborted")


def _contexts(samples: Sequence[Sample]) -> list[PresentationContext]:
    pairs = dict.fromkeys((sample.sop_class_uid, sample.transfer_syntax) for sample in samples)
    return [build_context(sop_class, transfer_syntax) for sop_class, transfer_syntax in pairs]


@contextmanager
def _as_encoded() -> Iterator[None]:
    """Have pynetdicom send the bytes of the file and not what it would encode them to."""
    before = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        yield
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = before


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
