"""The letters that a program writes of its own accord: an output must declare character sets that have them."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profile import Action, Mapping_, Program, Pseudonym, Substitution

__all__ = ["alphabet"]


def alphabet(program: Program) -> str:
    """The letters beyond ASCII in the values, lists, tables and formats of ``program``, each once, sorted."""
    return "".join(sorted({letter for text in _texts(program) for letter in text if not letter.isascii()}))


def _texts(program: Program) -> Iterator[str]:
    identity = program.identity
    yield identity.patient_format
    if identity.table is not None:
        yield from identity.table.rows.values()
    actions = [
        *program.actions.values(),
        *(pattern.action for pattern in program.patterns),
        *(rule.action for rule in program.paths),
        *(rule.action for rule in program.private_elements),
        *(action for _, action in program.inserts),
    ]
    for action in actions:
        yield action.value or ""
        yield from _of_options(action)


def _of_options(action: Action) -> Iterator[str]:
    match action.options:
        case Mapping_() as options:
            yield from (replacement for _, replacement in options.pairs)
        case Substitution() as options:
            yield options.replacement
        case Pseudonym() as options:
            yield options.format
            if options.table is not None:
                yield from options.table.rows.values()
