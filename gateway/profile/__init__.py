"""The profile room: the rule language, its table of facts, and what profiles compile to."""

from __future__ import annotations

from gateway.profile.condition import Condition
from gateway.profile.identity import Identity
from gateway.profile.load import load_profile, shipped_profiles
from gateway.profile.program import Action, Code, Dates, Origin, Pattern, Program
from gateway.profile.verb import Verb, resolve

__all__ = [
    "Action",
    "Code",
    "Condition",
    "Dates",
    "Identity",
    "Origin",
    "Pattern",
    "Program",
    "Verb",
    "load_profile",
    "resolve",
    "shipped_profiles",
]
