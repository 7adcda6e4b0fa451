"""A program made ready for speed: the rule of every element, decided once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from gateway.deid.alphabet import alphabet
from gateway.deid.clean import Cleaner
from gateway.deid.context import Context, Contexts
from gateway.deid.dummies import dummy_sequence
from gateway.deid.greatest_age import is_elder
from gateway.deid.guard import Guards
from gateway.deid.mosaics import check_mosaic, keeps_slices
from gateway.deid.number_source import NumberSource
from gateway.deid.patient import Patient, identify, patient_key, said_of
from gateway.deid.patient import claims as claims_of
from gateway.deid.private import Known, PrivateElements
from gateway.deid.project_key import ProjectKey
from gateway.deid.sequences import also_cleaned
from gateway.deid.stamp import Stamp
from gateway.deid.value_memory import Memories, is_repeatable
from gateway.dicom.dictionary import VR_OF
from gateway.dicom.instance import Instance
from gateway.dicom.iod import element_type
from gateway.dicom.repertoire import output_sets
from gateway.dicom.tag import is_private
from gateway.profile import Action, Origin, Program, RetainedUid, TimeOfDay, Unnamed, Verb, resolve
from gateway.profile.elders import age_limit, without_birth_dates
from gateway.profile.retained import retaining
from gateway.remembering import BoundedMapping

__all__ = ["Place", "Plan"]

#: SOP class, enclosing sequences, tag, whether the instance lists its references.
Place: TypeAlias = tuple[str, tuple[int, ...], int, bool]
#: What an instance says that only one may say: ``gateway.deid.patient.claims``.
Claims: TypeAlias = tuple[tuple[str, str, str], ...]
#: Private SOP classes and made-up sequences could fill the memory otherwise.
_MOST_PLACES: Final = 100_000
_MOST_PATHS: Final = 10_000
_MOST_PATIENTS: Final = 256
#: Studies that come at the same time.
_MOST_STUDIES: Final = 64
#: What of an element that stays has to go: a name, a date in a UID, a time of day.
_LOOKED_AT: Final = (RetainedUid, TimeOfDay, Unnamed)
_NO_RULES: Final[Mapping[int, Action | None]] = {}


class Plan:
    """A program without conditions.

    Parameters
    ----------
    program
        specialised: ``Program.specialise``

    Attributes
    ----------
    program
        as given
    stamp
        what is written to say what was done
    private
        the rules for private elements
    remove_private
        the action for private elements that no rule keeps
    rules
        tag -> action, None for "keep": one look-up per element decides the most frequent case
    top
        as ``rules``, for places: what overrides them at the top level
    inserts
        tag -> action, for elements that are written at the top level whether received or not
    outer
        the character sets around a data set that declares none
    cleaning
        the action of what is cleaned although no rule names it
    coding
        the same of coded entries
    guards
        what looks at elements that stay
    repeats_sequences
        whether the rules make the same of the same sequence every time
    """

    coding: Final = Action(Verb.CLEAN, Origin("standard", "PS3.3 8", "", 0))
    cleaning: Final = Action(Verb.CLEAN, Origin("standard", "PS3.15 E.3.3, E.3.4, E.3.5", "", 0))

    def __init__(self, program: Program) -> None:
        self.program = program
        self.stamp = Stamp(program)
        self.private = PrivateElements(program)
        self._keeps_slices = keeps_slices(program)
        goes = program.private.verb is Verb.REMOVE
        self.remove_private = program.private if goes else Action(Verb.REMOVE, program.private.origin)
        self.rules: dict[int, Action | None] = {}
        for tag in (*VR_OF, *program.actions):
            self.rule(tag)
        for tag in also_cleaned(program):
            if self.rules.get(tag) is None:
                self.rules[tag] = self.cleaning
        self.inserts = dict(program.inserts)
        self.outer = output_sets(b"", alphabet(program))
        self._resolved: dict[tuple[Verb, Place], Verb] = {}
        self._at: dict[tuple[int, ...], Mapping[int, Action | None]] = {}
        self.top = self.at(())
        self.guards = Guards(program, self.action)
        self._patients: BoundedMapping[tuple[object, ...], Patient] = BoundedMapping(_MOST_PATIENTS)
        self._contexts = Contexts(program)
        self._cleaners: BoundedMapping[Context, Cleaner] = BoundedMapping(_MOST_STUDIES)
        self._memories: BoundedMapping[tuple[object, ...], Memories] = BoundedMapping(_MOST_STUDIES)
        self._claims: BoundedMapping[tuple[object, ...], tuple[tuple[str, str, str], ...]] = BoundedMapping(
            _MOST_STUDIES
        )
        placed = *(rule.action for rule in program.paths), *(rule.action for rule in program.private_elements)
        self.repeats_sequences = all(map(is_repeatable, (*program.actions.values(), *placed)))
        self._age_limit = age_limit(program)
        self._of_elders: Plan | None = None

    def of(self, instance: Instance) -> Plan:
        """The plan for ``instance``: another one for patients of an age at which no date of birth may leave."""
        if self._age_limit is None or not is_elder(instance, self._age_limit):
            return self
        if self._of_elders is None:
            self._of_elders = Plan(without_birth_dates(self.program))
        return self._of_elders

    def known(self, instance: Instance) -> Known:
        """What ``instance`` says of its private elements, which must not be a mosaic that would lose its slices.

        Raises
        ------
        SlicesLost
            it is one
        """
        known = self.private.known(instance)
        if self._keeps_slices:
            check_mosaic(instance, self.private, self.guards, known)
        return known

    def patient(self, instance: Instance, key: ProjectKey, numbers: NumberSource | None) -> Patient:
        """As ``identify``, whose keyed pseudonyms are remembered; others are asked for each time."""
        identity = self.program.identity
        if identity.table is not None or identity.kind == "sequential":
            return identify(instance, identity, key, numbers)
        subject = key, *patient_key(instance, identity)
        patient = self._patients.get(subject)
        if patient is None:
            patient = identify(instance, identity, key, numbers)
            self._patients[subject] = patient
        return patient

    def cleaner(self, instance: Instance) -> Cleaner:
        """The cleaner of free text for ``instance``: the same object for all instances with the same context.

        Raises
        ------
        LimitExceeded
            as ``study_context``
        """
        context = self._contexts.of(instance)
        cleaner = self._cleaners.get(context)
        if cleaner is None:
            cleaner = self._cleaners.keep(context, Cleaner(self.program, context))
        return cleaner

    def claims(self, instance: Instance, key: ProjectKey, patient: Patient) -> Claims:
        """As ``claims_of``, made once for the instances of a study."""
        told = key, patient.subject, *said_of(instance)
        claims = self._claims.get(told)
        if claims is None:
            claims = self._claims.keep(told, claims_of(instance, key, patient.subject))
        return claims

    def memories(self, key: tuple[object, ...]) -> Memories:
        """What the rules made of values and sequences so far, where everything else that counts is ``key``."""
        memories = self._memories.get(key)
        if memories is None:
            memories = self._memories.keep(key, Memories())
        return memories

    def rule(self, tag: int) -> Action | None:
        """The action for ``tag`` wherever nothing overrides it, None to keep it."""
        if tag in self.rules:
            return self.rules[tag]
        rule = self._unless_kept(tag, self.program.action(tag))
        if not is_private(tag):
            self.rules[tag] = rule
        return rule

    def _unless_kept(self, tag: int, action: Action) -> Action | None:
        # What stays is looked at by its guard; only a name in it has to be taken out, and UIDs are looked at here.
        rule = retaining(self.program, tag, action)
        return None if rule.verb is Verb.KEEP and not isinstance(rule.options, _LOOKED_AT) else rule

    def rule_at_top(self, tag: int) -> Action | None:
        """The action for ``tag`` at the top level, None to keep it."""
        return self.top[tag] if tag in self.top else self.rule(tag)

    def action(self, path: tuple[int, ...], tag: int) -> Action:
        """The action for an element of the standard inside the sequences ``path``, also if it is kept."""
        for rule in self.program.paths:
            if rule.matches(path, tag):
                return rule.action
        return self.program.action(tag)

    def at(self, path: tuple[int, ...]) -> Mapping[int, Action | None]:
        """What overrides ``rules`` inside the sequences ``path``."""
        if not self.program.paths:
            return _NO_RULES
        actions = self._at.get(path)
        if actions is None:
            overrides: dict[int, Action | None] = {}
            for rule in self.program.paths:
                if rule.tag not in overrides and rule.matches(path, rule.tag):
                    overrides[rule.tag] = self._unless_kept(rule.tag, rule.action)
            actions = overrides or _NO_RULES
            if len(self._at) < _MOST_PATHS:
                self._at[path] = actions
        return actions

    def dummy(self, tag: int, path: tuple[int, ...], sop_class: str, *, implicit: bool) -> bytes:
        """The encoded sequence ``tag`` with a dummy item, to which the rules apply as to any other one."""

        def verb_at(inside: tuple[int, ...], element: int) -> Verb:
            return self.resolve(self.action(inside, element).verb, (sop_class, inside, element, False))

        return dummy_sequence(tag, implicit=implicit, path=path, verb_at=verb_at)

    def resolve(self, verb: Verb, place: Place) -> Verb:
        """The simple verb that a compound one means for an attribute of this IOD at this place."""
        if not verb.is_compound:
            return verb
        known = self._resolved.get((verb, place))
        if known is None:
            sop_class_uid, path, tag, references = place
            known = resolve(verb, element_type(sop_class_uid, path, tag), lists_references=references)
            if len(self._resolved) < _MOST_PLACES:
                self._resolved[verb, place] = known
        return known
