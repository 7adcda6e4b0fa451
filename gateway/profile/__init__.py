"""The profile room: the rule language, its table of facts, and what profiles compile to."""

from __future__ import annotations

from gateway.profile.check import Finding, Report, check_profile
from gateway.profile.condition import Condition
from gateway.profile.identity import Identity
from gateway.profile.load import load_profile, shipped_profiles
from gateway.profile.lookup import LookupTable
from gateway.profile.program import (
    AcceptRule,
    Action,
    Code,
    Dates,
    Origin,
    PathRule,
    Pattern,
    PrivateRule,
    ProfileTest,
    Program,
    Shift,
    Times,
)
from gateway.profile.verb import Verb, resolve
from gateway.profile.verb_options import (
    Believing,
    Bins,
    Mapping_,
    Numeric,
    Options,
    Prefix,
    Pseudonym,
    RetainedUid,
    Rounding,
    Source,
    Substitution,
    Technical,
    TimeOfDay,
    Truncation,
    Unnamed,
)

__all__ = [
    "AcceptRule",
    "Action",
    "Believing",
    "Bins",
    "Code",
    "Condition",
    "Dates",
    "Finding",
    "Identity",
    "LookupTable",
    "Mapping_",
    "Numeric",
    "Options",
    "Origin",
    "PathRule",
    "Pattern",
    "Prefix",
    "PrivateRule",
    "ProfileTest",
    "Program",
    "Pseudonym",
    "Report",
    "RetainedUid",
    "Rounding",
    "Shift",
    "Source",
    "Substitution",
    "Technical",
    "TimeOfDay",
    "Times",
    "Truncation",
    "Unnamed",
    "Verb",
    "check_profile",
    "load_profile",
    "resolve",
    "shipped_profiles",
]
