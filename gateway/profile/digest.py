"""The digest of a program: SHA-256 over everything that decides the output, and nothing else.

Comments, layout, reasons and the order of rules that do not meet change nothing; a row of a look-up table does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from hashlib import sha256
from json import dumps
from typing import Any

from gateway.profile.expression import Expression
from gateway.profile.lookup import LookupTable
from gateway.profile.program import Action, Program


def digest_of(program: Program) -> str:
    """The digest in lower-case hexadecimal."""
    identity = program.identity
    resolved = {
        "profile": program.profile,
        "version": program.version,
        "rules": [[f"{tag:08X}", *_contents(actions)] for tag, actions in sorted(program.rules.items())],
        "patterns": [[f"{one.mask:08X}", f"{one.value:08X}", _content(one.action)] for one in program.patterns],
        "private": _content(program.private),
        "unknown": _content(program.unknown),
        "unlisted": _content(program.unlisted),
        "defaults": {name: _contents(actions) for name, actions in program.defaults.items()},
        "safe": program.safe_private,
        "private-elements": [
            [
                *(rule.group, rule.offset, rule.creator),
                _stronger(rule.action, program.defaults.get("private", ())),
                *_content(rule.action),
            ]
            for rule in program.private_elements
        ],
        "paths": [
            [
                *(list(rule.path), f"{rule.tag:08X}"),
                _stronger(rule.action, program.rules.get(rule.tag, ())),
                *_content(rule.action),
            ]
            for rule in program.paths
        ],
        "inserts": [
            [f"{tag:08X}", _stronger(action, program.rules.get(tag, ())), *_content(action)]
            for tag, action in program.inserts
        ],
        "accept": [[rule.decision, rule.condition.text] for rule in program.accept],
        "codes": [[code.value, code.scheme, code.meaning] for code in program.codes],
        "dates": program.dates,
        "shift": None if program.shift is None else [program.shift.first, program.shift.last],
        "identity": [identity.kind, identity.patient_format, identity.missing, _plain(identity.table)],
        "vocabulary": sorted(program.vocabulary),
        "when-unsure": program.when_unsure,
    }
    if identity.issuers != "one" or identity.not_ids:
        resolved["patients"] = [identity.issuers, sorted(identity.not_ids)]
    if program.times != "keep":
        resolved["times"] = program.times
    if program.identified:
        resolved["identified"] = True
    if program.pixels:
        resolved["pixels"] = [
            [_plain(rule.says), None if rule.condition is None else rule.condition.text] for rule in program.pixels
        ]
    return sha256(dumps(resolved, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")).hexdigest()


def with_words(program: Program, words: frozenset[str]) -> Program:
    """The program that keeps ``words`` besides its own; with words that it does not have it gets another digest."""
    if words <= program.vocabulary:
        return program
    changed = replace(program, vocabulary=program.vocabulary | words)
    return replace(changed, digest=digest_of(changed))


def _contents(actions: Iterable[Action]) -> list[list[Any]]:
    return [_content(action) for action in actions]


def _content(action: Action) -> list[Any]:
    when = None if action.when is None else action.when.text
    return [action.verb.value, action.value, when, _plain(action.options)]


def _stronger(action: Action, candidates: Iterable[Action]) -> int:
    """How many candidates override the action where their conditions hold."""
    return sum(one.rank > action.rank for one in candidates)


def _plain(value: Any) -> Any:
    """The value as JSON has it; a table is its digest."""
    if isinstance(value, LookupTable):
        return value.digest
    if isinstance(value, Expression):
        return value.pattern
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(_plain(getattr(value, field.name)) for field in fields(value) if field.init)]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in sorted(value.items())}
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value
