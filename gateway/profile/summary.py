"""A program on one page: what it is made of and how much it treats in which way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gateway.profile.element import ElementName
from gateway.profile.explain import candidates
from gateway.profile.load import Loaded
from gateway.profile.own_rules import own_rules
from gateway.profile.pixel_wording import pixels_in_words
from gateway.profile.verb import Verb
from gateway.profile.wording import (
    IDENTIFIED,
    OUTCOMES,
    VERBS,
    codes_in_words,
    dates_in_words,
    in_words,
    names_in_words,
    times_in_words,
)

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a profile is.

    Attributes
    ----------
    profile, version, describes, digest
        as the program and its author give them
    layers
        the layers in the order in which they apply, the profile itself last
    codes
        profile and options of PS3.15 that the output claims
    patient, dates, times
        in words
    when_unsure
        ``remove`` or ``hold``
    vocabulary
        number of words that ``clean`` keeps for the site
    tests
        number of tests
    accept
        (condition, what becomes of the instance, reason)
    verbs
        (action, what it does, number of elements of the standard with a rule of their own that get it at the top
        level where no condition holds)
    pixels
        (what becomes of pixel data, condition, layer, reason)
    rules
        the profile's own rules: (target, line, what becomes of it, condition, reason)
    """

    profile: str
    version: str
    describes: str
    digest: str
    layers: tuple[str, ...]
    codes: tuple[str, ...]
    patient: str
    dates: str
    times: str
    when_unsure: str
    vocabulary: int
    tests: int
    accept: tuple[tuple[str, str, str], ...]
    verbs: tuple[tuple[str, str, int], ...]
    pixels: tuple[tuple[str, str, str, str], ...]
    rules: tuple[tuple[str, str, str, str, str], ...]


def summarise(loaded: Loaded) -> Summary:
    """The summary of a profile."""
    program = loaded.program
    verbs = Counter(candidates(program, ElementName((), tag))[-1].verb for tag in {*program.actions, *program.rules})
    return Summary(
        profile=program.profile,
        version=program.version,
        describes=loaded.layers[-1].model.describes,
        digest=program.digest,
        layers=tuple(layer.name for layer in loaded.layers),
        codes=() if program.identified else tuple(codes_in_words(program.codes)),
        patient=" ".join((*([IDENTIFIED] if program.identified else []), *names_in_words(program))),
        dates=dates_in_words(program),
        times=times_in_words(program),
        when_unsure=program.when_unsure,
        vocabulary=len(program.vocabulary),
        tests=len(program.tests),
        accept=tuple((rule.condition.text, OUTCOMES[rule.decision], rule.because) for rule in program.accept),
        verbs=tuple((verb.value, VERBS[verb], verbs[verb]) for verb in Verb if verbs[verb]),
        pixels=tuple(
            (
                pixels_in_words(rule),
                "" if rule.condition is None else rule.condition.text,
                rule.origin.layer,
                rule.because,
            )
            for rule in program.pixels
        ),
        rules=tuple(
            (rule.target, str(rule.origin.line), in_words(rule.action), rule.when, rule.action.because)
            for rule in own_rules(program)
            if rule.action is not None and len(loaded.layers) > 1
        ),
    )
