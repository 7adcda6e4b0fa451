"""Rules as a file writes them, read into actions on targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from gateway.dicom.dictionary import keywords, tag_of
from gateway.errors import ProfileError
from gateway.profile import pseudonym
from gateway.profile.acquisition import numeric_of
from gateway.profile.condition import Condition
from gateway.profile.expression import Expression, ExpressionWrong
from gateway.profile.language import KEYS_OF_VERBS, GeneraliseForm, ProfileFile, RegexForm, Rule
from gateway.profile.lookup import VALUE_COLUMNS, LookupTable, load_table
from gateway.profile.program import Action, Origin
from gateway.profile.rules import check_action
from gateway.profile.target import PrivateElement, Target, parse_target
from gateway.profile.verb import Verb
from gateway.profile.verb_options import (
    Believing,
    Bins,
    Mapping_,
    Options,
    Prefix,
    Pseudonym,
    Rounding,
    Source,
    Substitution,
    Technical,
    Truncation,
    Unnamed,
)
from gateway.sections.yamlfile import Document, KeyPath, Problems, suggestion

#: Values of a file of ``keep-if-in``.
_MOST_LISTED: Final = 5_000


class Reading(NamedTuple):
    """One element of one rule.

    Attributes
    ----------
    path
        keys and indices from the top of the file to the element
    name
        the element as written
    target
        what it stands for
    action
        what happens to it
    """

    path: KeyPath
    name: str
    target: Target
    action: Action


def read_actions(document: Document[ProfileFile], file: Path, problems: Problems) -> list[Reading]:
    """Everything that the rules of a file say, in their order.

    Parameters
    ----------
    document
        the file's content
    file
        where it was found; look-up tables are beside it
    problems
        gathers what is wrong; such a rule, or such an element of one, is left out
    """
    reader = _Reader(document, file, problems)
    readings: list[Reading] = []
    for number, rule in enumerate(document.model.attributes):
        with problems.gathered():
            readings.extend(reader.rule(number, rule))
    return readings


class _Wrong(ValueError):
    """What is wrong, and below which key of the rule."""

    def __init__(self, key: str | int, problem: str) -> None:
        super().__init__(problem)
        self.key = key


class _Reader:
    def __init__(self, document: Document[ProfileFile], file: Path, problems: Problems) -> None:
        self._document = document
        self._file = file
        self._problems = problems
        self._tables: dict[str, LookupTable] = {}

    def rule(self, number: int, rule: Rule) -> Iterator[Reading]:
        at = ("attributes", number)
        actions = [(verb.value, verb, elements) for verb, elements in rule.actions().items()]
        if rule.keep_if_in is not None:
            actions.append(("keep-if-in", Verb.MAP, dict(rule.keep_if_in)))
        if len(actions) != 1:
            problem = "a rule has one action, such as remove or keep"
            raise self._document.error(*at, problem=problem if not actions else f"{problem}: not several")
        ((written, verb, elements),) = actions
        self._check_keys(at, rule, verb)
        if rule.keep_if_in is not None and rule.otherwise == "keep":
            self._fail((*at, "otherwise"), "keep-if-in keeps what is in its file: otherwise is remove, empty or hold")
        when = None
        if rule.when is not None:
            try:
                when = Condition.compile(rule.when, place=str(self._document.place(*at, "when")))
            except ProfileError as failed:
                self._fail((*at, "when"), str(failed.facts["problem"]))
        try:
            common = self._common(verb, rule)
        except _Wrong as failed:
            self._fail((*at, failed.key), str(failed))
        model = self._document.model
        clause = model.clause if rule.clause is None else rule.clause
        named: Mapping[Any, Any] = elements if isinstance(elements, dict) else dict(enumerate(elements))
        for key, content in named.items():
            path = (*at, written, key)
            name = key if isinstance(elements, dict) else content
            origin = Origin(model.profile, clause, str(self._file), self._document.place(*path).line)
            with self._problems.gathered():
                try:
                    value, options = (None, common) if common is not None else self._each(verb, rule, content)
                    target = parse_target(name)
                    if rule.only == "numeric":
                        options = _numeric(target)
                    action = Action(verb, origin, value, rule.because, when, options)
                    check_action(target, action)
                except _Wrong as failed:
                    self._fail((*path, failed.key), str(failed))
                except ValueError as failed:
                    self._fail(path, str(failed))
                yield Reading(path, name, target, action)

    def _fail(self, path: KeyPath, problem: str) -> NoReturn:
        raise self._document.error(*path, problem=problem) from None

    def _check_keys(self, at: KeyPath, rule: Rule, verb: Verb) -> None:
        for key, owner in KEYS_OF_VERBS.items():
            if getattr(rule, key) is not None and owner is not verb:
                self._fail((*at, key), f'"{key}" belongs to {owner}, and this rule says {verb}')

    def _common(self, verb: Verb, rule: Rule) -> Options | None:
        """What the rule says of all its elements at once."""
        if verb is Verb.TRUNCATE_DATE:
            if rule.to is None:
                raise _Wrong(verb.value, 'truncate-date needs "to: year" or "to: month"')
            return Truncation(rule.to)
        if rule.without is not None:
            return Unnamed()
        if rule.only == "technical":
            return Technical()
        if rule.believe is not None:
            return Believing()
        return self._pseudonym(rule) if verb is Verb.PSEUDONYMISE else None

    def _pseudonym(self, rule: Rule) -> Pseudonym:
        given = [key for key in ("format", "table", "sequential") if getattr(rule, key) is not None]
        if len(given) != 1:
            raise _Wrong(Verb.PSEUDONYMISE.value, "pseudonymise needs exactly one of format, table and sequential")
        (kind,) = given
        if rule.missing is not None and kind != "table":
            raise _Wrong("missing", "only a table can lack a value")
        try:
            if rule.format is not None:
                pseudonym.check_keyed(rule.format)
                return Pseudonym("keyed", rule.format)
            if rule.sequential is not None:
                pseudonym.check_sequential(rule.sequential)
                return Pseudonym("sequential", rule.sequential)
            return Pseudonym("table", table=self._table(rule.table or ""), missing=rule.missing or "hold")
        except ValueError as failed:
            raise _Wrong(kind, str(failed)) from None

    def _table(self, name: str) -> LookupTable:
        if name not in self._tables:
            self._tables[name] = load_table(self._file.parent / name, VALUE_COLUMNS)
        return self._tables[name]

    def _each(self, verb: Verb, rule: Rule, content: Any) -> tuple[str | None, Options | None]:
        """What the rule says of one element: the value to write, and what the verb needs."""
        match verb:
            case Verb.REPLACE | Verb.INSERT:
                return content, None
            case Verb.COPY:
                tag = tag_of(content)
                if tag is None:
                    near = suggestion(content, keywords())
                    raise ValueError(f'"{content}" is no keyword of the data dictionary{near}')
                return None, Source(tag)
            case Verb.MAP:
                return None, self._listed(content, rule) if isinstance(content, str) else _mapping(content, rule)
            case Verb.GENERALISE:
                return None, _generalisation(content)
            case Verb.REGEX:
                return None, _substitution(content)
        return None, None

    def _listed(self, name: str, rule: Rule) -> Mapping_:
        """The values that a file lists, one a line; each stays, and others do not."""
        try:
            lines = (self._file.parent / name).read_text(encoding="utf-8-sig").splitlines()
        except OSError as failed:
            raise ValueError(f"the list {name} cannot be read: {failed.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"the list {name} is not UTF-8 text") from None
        values = dict.fromkeys(line.strip() for line in lines if line.strip() and not line.startswith("#"))
        if not values:
            raise ValueError(f"the list {name} is empty")
        if len(values) > _MOST_LISTED:
            raise ValueError(f"the list {name} has more than {_MOST_LISTED} values")
        return Mapping_(tuple((value, value) for value in values), rule.otherwise or "remove")


def _numeric(target: Target) -> Options:
    if not isinstance(target, PrivateElement) or target.offset is None:
        raise ValueError('only: numeric is for private elements with their number, such as "(0019,xx0C) ACME 1.1"')
    return numeric_of(target.group, target.offset, target.creator)


def _mapping(content: Mapping[str, str], rule: Rule) -> Mapping_:
    pairs: dict[str, str] = {}
    for original, replacement in content.items():
        if original.strip() in pairs:
            raise _Wrong(original, f'"{original.strip()}" is mapped twice')
        pairs[original.strip()] = replacement
    return Mapping_(tuple(pairs.items()), rule.otherwise or "hold")


#: The forms that ``generalise`` has.
_FORMS: Final = ("bins and top", "round", "first")


def _generalisation(form: GeneraliseForm) -> Options:
    ages = form.bins is not None or form.top is not None
    if ages + (form.round is not None) + (form.first is not None) != 1:
        raise ValueError(f"say one of {', '.join(_FORMS[:-1])} or {_FORMS[-1]}")
    if form.round is not None:
        return Rounding(Decimal(repr(form.round)).normalize())
    if form.first is not None:
        return Prefix(form.first)
    years = int(form.bins[:-1]) if form.bins is not None else 1
    top = int(form.top[:-1]) if form.top is not None else None
    if top is not None and (top == 0 or top % years):
        raise _Wrong("top", f"the highest age is a multiple of the bins of {years} years")
    return Bins(years, top)


def _substitution(form: RegexForm) -> Substitution:
    try:
        expression = Expression(form.pattern)
    except ExpressionWrong as failed:
        raise _Wrong("pattern", f"the pattern is wrong: {failed}") from None
    try:
        return Substitution(expression, form.replacement, form.otherwise)
    except ExpressionWrong as failed:
        raise _Wrong("replacement", f"the replacement is wrong: {failed}") from None
