"""What would become of a file, element by element, with the reason for each.

Values of the file are in the result: it is for the eyes of the person who has the file, and for no log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from gateway.deid import ProjectKey
from gateway.deid.trace import TraceEntry
from gateway.dicom.charset import CharacterSets
from gateway.dicom.dictionary import vr_of
from gateway.dicom.instance import Instance, decode_element
from gateway.dicom.tag import show
from gateway.profile import Program
from gateway.profile.element import show_element
from gateway.profile.wording import in_words, is_patient_pseudonym, place_of
from gateway.rehearsal.dry_run import DEMONSTRATION_KEY, DryRun, opening

__all__ = ["Preview", "Row", "preview"]

_LONGEST: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What becomes of one element.

    Attributes
    ----------
    element
        keyword or tag, with the sequences around it
    tag
        the tag as the standard writes it
    before
        the value received; None for an element that the gateway writes
    after
        the value of the output; None where it is removed
    changed
        whether the output differs from what was received
    words
        what was done
    verb, layer, clause, place, when, because
        the rule that did it
    """

    element: str
    tag: str
    before: str | None
    after: str | None
    changed: bool
    words: str
    verb: str
    layer: str
    clause: str
    place: str
    when: str
    because: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of a file.

    Attributes
    ----------
    state, reason
        whether it would go on, and if not, why
    rows
        its elements in order, as far as the engine came
    place
        where the rule of accept stands that decided, empty if none did
    """

    state: Literal["accepted", "rejected", "held"]
    reason: str
    rows: tuple[Row, ...]
    place: str = ""


def preview(
    program: Program, path: Path, *, key: ProjectKey = DEMONSTRATION_KEY, sender: Mapping[str, str] | None = None
) -> Preview:
    """Treat the file at ``path`` without writing anything.

    Parameters
    ----------
    program
        the compiled profile
    path
        a DICOM file
    key
        what pseudonyms are computed with
    sender
        ``source``, ``calling_ae``, ``called_ae`` and ``route`` as conditions shall see them

    Raises
    ------
    InstanceError
        the file is no instance that can be opened
    SpoolUnavailable
        it cannot be read
    """
    # A re-encoded copy is as well protected as the file beside which it stands for the moment (promise P9).
    with opening(path.parent).open(path) as instance, DryRun(program, key) as dry_run:
        outcome = dry_run.of(instance, sender)
        rows = tuple(_row(instance, entry) for entry in sorted(outcome.trace.entries, key=_order))
    place = "" if outcome.rule is None else place_of(outcome.rule)
    return Preview(outcome.state, outcome.reason, rows, place)


def _order(entry: TraceEntry) -> list[tuple[int, int]]:
    """Sorts a sequence before the elements of its items."""
    return [*zip(entry.path, entry.items, strict=True), (entry.tag, -1)]


def _row(instance: Instance, entry: TraceEntry) -> Row:
    action, origin = entry.action, entry.action.origin
    pseudonym = not entry.path and is_patient_pseudonym(entry.tag, action)
    steps = (f"{show_element(tag)}[{number + 1}]/" for tag, number in zip(entry.path, entry.items, strict=True))
    sets = instance.character_sets
    return Row(
        element="".join(steps) + show_element(entry.tag),
        tag=show(entry.tag),
        before=None if entry.is_new else _text(entry, entry.before, sets),
        after=None if entry.after is None else _text(entry, entry.after, sets),
        changed=entry.is_new or entry.after is None or entry.before != entry.after,
        words="is replaced by the patient's pseudonym" if pseudonym else in_words(action),
        verb=action.verb.value,
        layer=origin.layer,
        clause=origin.clause,
        place=place_of(origin),
        when="" if action.when is None else action.when.text,
        because=action.because,
    )


def _text(entry: TraceEntry, value: bytes, sets: CharacterSets) -> str:
    if entry.is_sequence:
        return "(sequence)"
    vr = entry.vr if entry.vr != b"UN" else vr_of(entry.tag)
    text = decode_element(value, (entry.tag, vr, 0, 0, len(value), None), sets).text.strip(" \0")
    if not text:
        return f"({len(value)} bytes)" if value else ""
    shown = " ".join(text.split())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + "..."
