"""Load a profile: find its layers, check them, and resolve them to a program.

A profile names layers in ``use``; they apply in that order, each after the layers that it uses itself, and the
profile's own rules come last. A later rule replaces an earlier one for every element it names. A layer that two
others use applies once, where it is met first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib.resources import files
from json import dumps
from pathlib import Path
from typing import Final

from gateway.dicom.dictionary import keyword_of
from gateway.errors import ConfigurationError, ProfileError
from gateway.profile.identity import Identity
from gateway.profile.language import DEFERRED_KEYS, DEFERRED_RULE_KEYS, ProfileFile
from gateway.profile.methods import METHODS, UNSUPPORTED
from gateway.profile.program import Action, Code, Dates, Origin, Pattern, Program
from gateway.profile.rules import KEPT_OR_HASHED, ONLY_KEPT, check_action
from gateway.profile.target import Default, Mask, Target, parse_target
from gateway.profile.verb import Verb
from gateway.yamlfile import Document, read_yaml, suggestion

_SUFFIX: Final = ".yaml"
#: What the value of ``dates`` says of the output, for (0028,0303).
_DATES: Final[dict[str, Dates]] = {"removed": "REMOVED", "unmodified": "UNMODIFIED"}
_LATER: Final = "is not supported by this version"


def shipped_profiles() -> Path:
    """The directory of the profiles that come with the gateway.

    Raises
    ------
    ConfigurationError: the installation is incomplete
    """
    package = Path(str(files("gateway")))
    for directory in (package / "_profiles", package.parent / "profiles"):
        if directory.is_dir():
            return directory
    raise ConfigurationError(place=str(package), problem="the shipped profiles are missing: install the gateway again")


def load_profile(name_or_path: str | Path, *, search: Sequence[Path] = ()) -> Program:
    """Load and resolve a profile.

    Parameters
    ----------
    name_or_path: a file, if a Path or a text that ends in ``.yaml`` or holds a slash; otherwise the name of a profile,
        that of its file without the suffix
    search: directories with profiles; those of the gateway are always known

    Returns
    -------
    The program of the profile with all its layers.

    Raises
    ------
    ProfileError: a file is missing, wrong, contradicts itself, or asks for what this version does not do
    """
    loader = _Loader(_directories(search))
    if isinstance(name_or_path, Path) or name_or_path.endswith(_SUFFIX) or "/" in name_or_path:
        top = loader.read(Path(name_or_path))
    else:
        top = loader.read(loader.find(name_or_path, place=name_or_path), expected=name_or_path)
    loader.add(top, ())
    return _resolve(top, loader.layers)


def _directories(search: Sequence[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for directory in (*search, shipped_profiles()):
        found.setdefault(directory.resolve(), directory)
    return list(found.values())


@dataclass(slots=True)
class _Layer:
    """One file, checked on its own."""

    document: Document[ProfileFile]
    file: Path
    rules: dict[Target, Action]

    @property
    def model(self) -> ProfileFile:
        return self.document.model

    @property
    def name(self) -> str:
        return self.document.model.profile


@dataclass(slots=True)
class _Loader:
    """Reads files and puts the layers in their order."""

    directories: list[Path]
    layers: list[_Layer] = field(default_factory=list)

    def find(self, name: str, *, place: str) -> Path:
        found = [path for directory in self.directories if (path := directory / f"{name}{_SUFFIX}").is_file()]
        if not found:
            known = sorted({path.stem for directory in self.directories for path in directory.glob(f"*{_SUFFIX}")})
            raise ProfileError(place=place, problem=f'there is no profile "{name}"{suggestion(name, known)}')
        if len(found) > 1:
            # A local file must not take the place of a shipped one unnoticed.
            files_ = " and ".join(str(path) for path in found)
            raise ProfileError(place=place, problem=f'the profile "{name}" exists more than once: {files_}')
        return found[0]

    def read(self, path: Path, *, expected: str | None = None) -> _Layer:
        document = read_yaml(path, ProfileFile, error=ProfileError)
        if expected is not None and document.model.profile != expected:
            raise document.error("profile", problem=f'a profile has the name of its file: "{expected}"')
        _refuse_deferred(document)
        return _Layer(document, path, _rules(document, path))

    def add(self, layer: _Layer, users: tuple[_Layer, ...]) -> None:
        """Append the layers that ``layer`` uses, then the layer itself, each once."""
        names = layer.model.use
        for number, name in enumerate(names):
            if name in names[:number]:
                raise layer.document.error("use", number, problem=f'the layer "{name}" is used twice')
            chain = [*users, layer]
            if name in [user.name for user in chain]:
                circle = " -> ".join([user.name for user in chain] + [name])
                raise layer.document.error("use", number, problem=f"the layers use each other in a circle: {circle}")
            if name not in [known.name for known in self.layers]:
                path = self.find(name, place=str(layer.document.place("use", number)))
                self.add(self.read(path, expected=name), (*users, layer))
        self.layers.append(layer)


def _refuse_deferred(document: Document[ProfileFile]) -> None:
    """Refuse what the language has and this version does not carry out; ignoring it would leave identity in place."""
    for key in DEFERRED_KEYS:
        if key in document.model.model_fields_set:
            raise document.error(key, problem=f'"{key}" {_LATER}')
    for number, rule in enumerate(document.model.attributes):
        for key in DEFERRED_RULE_KEYS:
            if key in rule.model_fields_set:
                raise document.error("attributes", number, key, problem=f'"{key}" in a rule {_LATER}')
    if document.model.identity is not None:
        for key in ("lookup", "missing"):
            if key in document.model.identity.patient.model_fields_set:
                raise document.error("identity", "patient", key, problem=f'"{key}" in an identity {_LATER}')


def _rules(document: Document[ProfileFile], path: Path) -> dict[Target, Action]:
    """The rules of one file by what they name."""
    model = document.model
    found: dict[Target, Action] = {}
    for number, rule in enumerate(model.attributes):
        actions = rule.actions()
        if len(actions) != 1:
            problem = "a rule has one action, such as remove or keep"
            raise document.error("attributes", number, problem=problem if not actions else f"{problem}: not several")
        ((verb, elements),) = actions.items()
        for key, name, value in elements:
            at = ("attributes", number, verb.value, key)
            clause = model.clause if rule.clause is None else rule.clause
            origin = Origin(model.profile, clause, str(path), document.place(*at).line)
            action = Action(verb, origin, value, rule.because)
            try:
                target = parse_target(name)
                check_action(target, action)
            except ValueError as failed:
                raise document.error(*at, problem=str(failed)) from None
            if target in found:
                line = found[target].origin.line
                raise document.error(*at, problem=f'"{name}" has a rule already, in line {line}')
            found[target] = action
    return found


def _resolve(top: _Layer, layers: list[_Layer]) -> Program:
    exact: dict[int, Action] = {}
    masks: dict[Mask, Action] = {}
    defaults: dict[Default, Action] = {}
    for layer in layers:
        own_masks = {target: action for target, action in layer.rules.items() if isinstance(target, Mask)}
        for mask in own_masks:
            # What an earlier layer said of elements that this pattern names is replaced as well.
            exact = {tag: action for tag, action in exact.items() if tag & mask.mask != mask.value}
            masks = {other: action for other, action in masks.items() if not mask.covers(other)}
        # The narrowest pattern of a layer counts, and later layers before earlier ones.
        narrow_first = sorted(own_masks, key=lambda mask: (-mask.mask.bit_count(), mask.value))
        masks = {mask: own_masks[mask] for mask in narrow_first} | masks
        for target, action in layer.rules.items():
            if isinstance(target, Default):
                defaults[target] = action
            elif not isinstance(target, Mask):
                exact[target] = action
    if Default.UNLISTED not in defaults:
        problem = 'no layer tells what happens to elements that no rule names: use "basic" or give "unlisted" a rule'
        raise top.document.error("profile", problem=problem)

    program = Program(
        profile=top.name,
        version=top.model.version,
        digest="",
        actions=dict(sorted(exact.items())),
        patterns=tuple(Pattern(mask.mask, mask.value, action) for mask, action in masks.items()),
        unlisted=defaults[Default.UNLISTED],
        codes=_codes(layers),
        dates=_dates(layers),
        identity=_identity(layers),
    )
    if Default.PRIVATE in defaults:
        program = replace(program, private=defaults[Default.PRIVATE])
    if Default.UNKNOWN in defaults:
        program = replace(program, unknown=defaults[Default.UNKNOWN])
    program = _with_essentials(program, top)
    return replace(program, digest=_digest(program))


def _with_essentials(program: Program, top: _Layer) -> Program:
    """The program with what no pattern and no default may take from an instance."""
    for tag in sorted(KEPT_OR_HASHED):
        action = program.action(tag)
        if action.verb not in (Verb.KEEP, Verb.HASH_UID):
            rule = f"{action.origin.file}, line {action.origin.line}"
            problem = f"{keyword_of(tag)} can only be kept or replaced by hash-uid, but {rule} says {action.verb}"
            raise top.document.error("profile", problem=problem)
    lost = [tag for tag in sorted(ONLY_KEPT) if program.action(tag).verb is not Verb.KEEP]
    if not lost:
        return program
    kept = Action(Verb.KEEP, Origin("standard", "PS3.3 C.12.1", "", 0))
    return replace(program, actions={**program.actions, **dict.fromkeys(lost, kept)})


def _codes(layers: list[_Layer]) -> tuple[Code, ...]:
    codes: dict[str, Code] = {}
    for layer in layers:
        option = layer.model.option
        if option is None:
            continue
        if option not in METHODS:
            problem = f'"{option}" is no code of PS3.16 CID 7050'
            raise layer.document.error("option", problem=problem, word=option, words=METHODS)
        if option in UNSUPPORTED:
            raise layer.document.error("option", problem=f"the {METHODS[option].meaning} {_LATER}")
        codes[option] = METHODS[option]
    return tuple(codes.values())


def _dates(layers: list[_Layer]) -> Dates:
    """What the layers do with dates, by the last that says it."""
    found: Dates = "REMOVED"
    for layer in layers:
        if "dates" not in layer.model.model_fields_set:
            continue
        word = layer.model.dates
        if word == "modified" or isinstance(word, dict):
            raise layer.document.error("dates", problem=f"shifting dates {_LATER}")
        if not isinstance(word, str) or word not in _DATES:
            problem = f"dates are one of {', '.join(_DATES)}"
            raise layer.document.error("dates", problem=problem, word=str(word), words=_DATES)
        found = _DATES[word]
    return found


def _identity(layers: list[_Layer]) -> Identity:
    identity = Identity()
    for layer in layers:
        rule = layer.model.identity
        if rule is not None and rule.patient.format is not None:
            try:
                identity = Identity(rule.patient.format)
            except ValueError as failed:
                raise layer.document.error("identity", "patient", "format", problem=str(failed)) from None
    return identity


def _digest(program: Program) -> str:
    """SHA-256 over everything that decides the output, and nothing else."""

    def content(action: Action) -> list[str | None]:
        return [action.verb.value, action.value]

    resolved = {
        "profile": program.profile,
        "version": program.version,
        "actions": [[f"{tag:08X}", *content(action)] for tag, action in sorted(program.actions.items())],
        "patterns": [[f"{one.mask:08X}", f"{one.value:08X}", *content(one.action)] for one in program.patterns],
        "private": content(program.private),
        "unknown": content(program.unknown),
        "unlisted": content(program.unlisted),
        "codes": [[code.value, code.scheme, code.meaning] for code in program.codes],
        "dates": program.dates,
        "identity": program.identity.patient_format,
    }
    return sha256(dumps(resolved, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")).hexdigest()
