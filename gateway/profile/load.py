"""Load a profile: find its layers, check them, and resolve them to a program.

A profile names layers in ``use``; they apply in that order, each after the layers that it uses itself, and the
profile's own rules come last. A later rule replaces an earlier one for every element it names. A layer that two
others use applies once, where it is met first. Layers in ``use-if-installed`` follow those in ``use``, and are left out
where the optional part is missing that they need: the digest tells, for they decide nothing then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from gateway.errors import ConfigurationError, GatewayError, ProfileError
from gateway.extras import ocr
from gateway.profile.action import Reading, read_actions
from gateway.profile.condition import Condition
from gateway.profile.digest import digest_of
from gateway.profile.direct import revealed
from gateway.profile.example import read_tests
from gateway.profile.language import ProfileFile
from gateway.profile.methods import METHODS
from gateway.profile.pixel_program import FindText, PixelProgram, PixelRule
from gateway.profile.pixel_reading import read_pixels
from gateway.profile.program import AcceptRule, Action, Code, Origin, ProfileTest, Program
from gateway.profile.resolve import LayerRules, Resolved, resolve_rules
from gateway.profile.setting import read_dates, read_identity, read_times, read_vocabulary
from gateway.profile.target import Target
from gateway.profile.times import claimed, coarsened, own_names
from gateway.profile.verb import Verb
from gateway.sections.yamlfile import Document, Problems, read_yaml, suggestion

_SUFFIX: Final = ".yaml"
#: Codes of CID 7050: the basic profile, and the two options that exclude each other.
_BASIC: Final = "113100"
_FULL_DATES: Final = "113106"
_MODIFIED_DATES: Final = "113107"
_CLEAN_PIXELS: Final = "113101"
_DECISIONS: Final[dict[str, Literal["accept", "reject", "hold"]]] = {
    "accept": "accept",
    "reject": "reject",
    "hold": "hold",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One file, checked on its own.

    Attributes
    ----------
    document
        its content with positions
    file
        where it was found
    readings
        what its rules say, in their order
    pixels
        what its rules for pixel data say, in their order
    tests
        its tests, in their order
    accepting
        the conditions of its decisions on instances
    """

    document: Document[ProfileFile]
    file: Path
    readings: tuple[Reading, ...]
    pixels: tuple[PixelRule, ...] = ()
    tests: tuple[ProfileTest, ...] = ()
    accepting: tuple[Condition, ...] = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions that the file states, each once where it stands."""
        ruled = (*(one.action.when for one in self.readings), *(rule.condition for rule in self.pixels))
        stated = (*self.accepting, *(condition for condition in ruled if condition is not None))
        return tuple(dict.fromkeys(stated))

    @property
    def model(self) -> ProfileFile:
        """The content."""
        return self.document.model

    @property
    def name(self) -> str:
        """The profile's name."""
        return self.document.model.profile


@dataclass(frozen=True, slots=True)
class Loaded:
    """A profile with what it was made of.

    Attributes
    ----------
    program
        the compiled profile
    layers
        its layers in the order in which they apply, the profile itself last
    resolved
        the ranked rules of the layers
    left_out
        layers of ``use-if-installed`` that need what is not installed
    incomplete
        why the profile cannot be used by itself, if another one was put under it
    """

    program: Program
    layers: tuple[Layer, ...]
    resolved: Resolved
    left_out: tuple[str, ...] = ()
    incomplete: GatewayError | None = None


def shipped_profiles() -> Path:
    """The directory of the profiles that come with the gateway.

    Raises
    ------
    ConfigurationError
        the installation is incomplete
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
    name_or_path
        a file, if a Path or a text that ends in ``.yaml`` or holds a slash; otherwise the name of a profile,
        that of its file without the suffix
    search
        directories with profiles; those of the gateway are always known

    Returns
    -------
    The program of the profile with all its layers.

    Raises
    ------
    ProfileError
        a file is missing, wrong, contradicts itself, or asks for what this version does not do
    """
    return load_layers(name_or_path, search=search).program


def load_layers(name_or_path: str | Path, *, search: Sequence[Path] = (), beneath: str | None = None) -> Loaded:
    """Like ``load_profile``, keeping the layers for later checks.

    Parameters
    ----------
    name_or_path, search
        as for ``load_profile``
    beneath
        a profile to put under one that is a layer only, that is, which leaves open what happens to elements that
        no rule names

    Raises
    ------
    ProfileError
        as for ``load_profile``
    """
    try:
        return _load(name_or_path, search, None)
    except _Incomplete as failed:
        if beneath is None:
            raise failed.error from None
        return replace(_load(name_or_path, search, beneath), incomplete=failed.error)


class _Incomplete(Exception):
    """The profile is a layer: no rule tells what happens to elements that no rule names."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(str(error))
        self.error = error


def _load(name_or_path: str | Path, search: Sequence[Path], beneath: str | None) -> Loaded:
    loader = _Loader(_directories(search))
    if beneath is not None:
        base = loader.read(loader.find(beneath, place=beneath), expected=beneath)
        loader.add(base, ())
    if isinstance(name_or_path, Path) or name_or_path.endswith(_SUFFIX) or "/" in name_or_path:
        top = loader.read(Path(name_or_path))
    else:
        top = loader.read(loader.find(name_or_path, place=name_or_path), expected=name_or_path)
    _refuse_options(top)
    loader.add(top, ())
    return replace(_resolve(top, loader.layers), left_out=tuple(dict.fromkeys(loader.left_out)))


def _directories(search: Sequence[Path]) -> list[Path]:
    directories: dict[Path, Path] = {}
    for directory in (*search, shipped_profiles()):
        directories.setdefault(directory.resolve(), directory)
    return list(directories.values())


@dataclass(slots=True)
class _Loader:
    """Reads files and puts the layers in their order."""

    directories: list[Path]
    layers: list[Layer] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def unknown(self, document: Document[ProfileFile]) -> Iterator[GatewayError]:
        """Errors about layers of ``document`` that there are not."""
        for key, names in (("use", document.model.use), ("use-if-installed", document.model.use_if_installed)):
            for number, name in enumerate(names):
                if not any((directory / f"{name}{_SUFFIX}").is_file() for directory in self.directories):
                    yield document.error(key, number, problem=self._missing(name))

    def _missing(self, name: str) -> str:
        known = sorted({path.stem for directory in self.directories for path in directory.glob(f"*{_SUFFIX}")})
        return f'there is no profile "{name}"{suggestion(name, known)}'

    def find(self, name: str, *, place: str) -> Path:
        paths = [path for directory in self.directories if (path := directory / f"{name}{_SUFFIX}").is_file()]
        if not paths:
            raise ProfileError(place=place, problem=self._missing(name))
        if len(paths) > 1:
            # A local file must not take the place of a shipped one unnoticed.
            files_ = " and ".join(str(path) for path in paths)
            raise ProfileError(place=place, problem=f'the profile "{name}" exists more than once: {files_}')
        return paths[0]

    def read(self, path: Path, *, expected: str | None = None) -> Layer:
        if path.parent.resolve() == shipped_profiles().resolve() and path.is_file():
            status = path.stat()
            layer = _read_shipped(path, status.st_mtime_ns, status.st_size)
        else:
            layer = _read(path, self.unknown)
        if expected is not None and layer.name != expected:
            raise layer.document.error("profile", problem=f'a profile has the name of its file: "{expected}"')
        return layer

    def add(self, layer: Layer, users: tuple[Layer, ...]) -> None:
        """Append the layers that ``layer`` uses, then the layer itself, each once."""
        always = layer.model.use
        names = [*always, *layer.model.use_if_installed]
        for number, name in enumerate(names):
            at = ("use", number) if number < len(always) else ("use-if-installed", number - len(always))
            if name in names[:number]:
                raise layer.document.error(*at, problem=f'the layer "{name}" is used twice')
            chain = [*users, layer]
            if name in [user.name for user in chain]:
                circle = " -> ".join([user.name for user in chain] + [name])
                raise layer.document.error(*at, problem=f"the layers use each other in a circle: {circle}")
            if name not in [known.name for known in self.layers]:
                path = self.find(name, place=str(layer.document.place(*at)))
                used = self.read(path, expected=name)
                _refuse_options(used)
                if number >= len(always) and _lacks(used):
                    self.left_out.append(name)
                else:
                    self.add(used, (*users, layer))
        self.layers.append(layer)


def _lacks(layer: Layer) -> bool:
    """Whether a layer looks for text, and what that needs is not installed."""
    return any(isinstance(rule, FindText) for rule in layer.pixels) and ocr.missing() is not None


def _read(path: Path, unknown: Callable[[Document[ProfileFile]], Iterable[GatewayError]] = lambda _: ()) -> Layer:
    """The layer that a file is; ``unknown`` tells which of the layers that it uses there are not."""
    document = read_yaml(path, ProfileFile, error=ProfileError)
    problems = Problems(document)
    problems.extend(unknown(document))
    readings = tuple(read_actions(document, path, problems))
    with problems.gathered():
        _refuse_duplicates(document, readings)
    pixels = read_pixels(document, path, problems)
    accepting = []
    for number in range(len(document.model.accept)):
        with problems.gathered():
            accepting.append(_decision(document, number)[1])
    tests = read_tests(document, path, problems)
    problems.refuse()
    return Layer(document, path, readings, pixels, tests, tuple(accepting))


@lru_cache(maxsize=64)
def _read_shipped(path: Path, modified: int, size: int) -> Layer:  # noqa: ARG001 - time and size are the file's state
    """The shipped layers stay the same for many profiles, and reading them takes most of the time of a compilation."""
    return _read(path)


def _refuse_options(layer: Layer) -> None:
    """Refuse an option that no code names."""
    option = layer.model.option
    if option is None:
        return
    if option not in METHODS:
        problem = f'"{option}" is no code of PS3.16 CID 7050'
        raise layer.document.error("option", problem=problem, word=option, words=METHODS)


def _refuse_duplicates(document: Document[ProfileFile], readings: Sequence[Reading]) -> None:
    """Two rules of one file for the same element and the same instances: the author has overlooked one of them."""
    actions: dict[tuple[Target, str | None, bool], Action] = {}
    for reading in readings:
        action = reading.action
        when = None if action.when is None else action.when.text
        key = (reading.target, when, action.verb in (Verb.INSERT, Verb.COPY))
        if key in actions:
            problem = f'"{reading.name}" has a rule already, in line {actions[key].origin.line}'
            raise document.error(*reading.path, problem=problem)
        actions[key] = action


def _resolve(top: Layer, layers: list[Layer]) -> Loaded:
    _check_options(top, layers)
    dates, shift = read_dates([layer.document for layer in layers])
    times, times_origin = read_times([(layer.document, layer.file) for layer in layers])
    empty = Program(
        profile=top.name,
        version=top.model.version,
        digest="",
        actions={},
        codes=claimed(_codes(layers), METHODS[_MODIFIED_DATES], times),
        dates=dates,
        identity=read_identity([(layer.document, layer.file) for layer in layers]),
        accept=_accept(layers),
        pixels=PixelProgram(tuple(rule for layer in layers for rule in layer.pixels)),
        shift=shift,
        times=times,
        vocabulary=frozenset(
            word for layer in layers for word in read_vocabulary(layer.document, layer.file)
        ),
        when_unsure=next(
            (layer.model.when_unsure for layer in reversed(layers) if layer.model.when_unsure is not None), "remove"
        ),
        tests=top.tests,
        identified=top.model.identified,
    )  # fmt: skip
    try:
        resolved = resolve_rules([LayerRules(layer.readings, layer.model.option) for layer in layers], empty)
    except ValueError as failed:
        raise top.document.error("profile", problem=str(failed)) from None
    if not resolved.unlisted:
        problem = 'no layer tells what happens to elements that no rule names: use "basic" or give "unlisted" a rule'
        raise _Incomplete(top.document.error("profile", problem=problem))
    _check_shift(top, layers, resolved.program)
    _check_direct(top, resolved.program)
    options = frozenset(layer.name for layer in layers if layer.model.option is not None)
    program = coarsened(resolved.program, own_names(resolved.ranked, options), times_origin)
    program = replace(program, digest=digest_of(program))
    return Loaded(program, tuple(layers), resolved)


def _check_options(top: Layer, layers: list[Layer]) -> None:
    """Options come after the basic profile, and some exclude each other."""
    by_option = {layer.model.option: layer for layer in layers if layer.model.option is not None}
    options = [layer.model.option for layer in layers if layer.model.option is not None]
    if _BASIC in options[1:]:
        first = by_option[options[0]]
        problem = (
            f'"{first.name}" comes before the basic profile, which undoes it: name "{by_option[_BASIC].name}" first'
        )
        raise top.document.error("use", problem=problem)
    if _FULL_DATES in options and _MODIFIED_DATES in options:
        full, modified = by_option[_FULL_DATES].name, by_option[_MODIFIED_DATES].name
        problem = f'"{full}" and "{modified}" contradict each other: dates either stay or are shifted (PS3.15 E.3.6)'
        raise top.document.error("use", problem=problem)
    if _CLEAN_PIXELS in options and not any(layer.pixels for layer in layers):
        problem = f'"{METHODS[_CLEAN_PIXELS].meaning}" needs rules for pixel data: "pixels: [...]"'
        raise by_option[_CLEAN_PIXELS].document.error("option", problem=problem)


def _check_shift(top: Layer, layers: Sequence[Layer], program: Program) -> None:
    """Dates are shifted if and only if a rule says of which elements, and nobody claims it otherwise."""
    claiming = next((layer for layer in layers if layer.model.option == _MODIFIED_DATES), None)
    if claiming is not None and program.shift is None:
        problem = (
            f'"{METHODS[_MODIFIED_DATES].meaning}" needs the range of the shift: "dates: {{shift: per-patient, ...}}"'
        )
        raise claiming.document.error("option", problem=problem)
    shifting = [action for action in _actions(program) if action.verb is Verb.SHIFT_DATE]
    if shifting and program.shift is None:
        first = min(shifting, key=lambda action: action.rank)
        where = f"{first.origin.file}, line {first.origin.line}"
        problem = f'{where} says shift-date, but no layer says by how many days: "dates: {{shift: per-patient, ...}}"'
        raise top.document.error("dates", problem=problem)
    if program.shift is not None and not shifting:
        problem = 'the profile shifts dates, but no rule says shift-date: use "retain-longitudinal-modified-dates"'
        raise top.document.error("dates", problem=problem)


def _check_direct(top: Layer, program: Program) -> None:
    """What names a patient by itself stays only if the profile says that its outputs are identified."""
    direct = next(revealed(program), None)
    if direct is None or program.identified:
        return
    name, action = direct
    says = "copies" if action.verb is Verb.COPY else "keeps"
    where = f"{action.origin.file}, line {action.origin.line}," if action.origin.file else "what no rule names"
    problem = (
        f"{where} {says} {name}, which names the patient: outputs are not de-identified. If that is meant, say "
        '"identified: true"; then nothing is claimed of them, and only destinations with accepts-identified take them'
    )
    raise top.document.error("profile", problem=problem)


def _actions(program: Program) -> list[Action]:
    return [
        *(action for candidates in program.rules.values() for action in candidates),
        *(pattern.action for pattern in program.patterns),
        *(rule.action for rule in program.paths),
        *(rule.action for rule in program.private_elements),
    ]


def _codes(layers: list[Layer]) -> tuple[Code, ...]:
    return tuple({option: METHODS[option] for layer in layers if (option := layer.model.option) is not None}.values())


def _accept(layers: list[Layer]) -> tuple[AcceptRule, ...]:
    """The rules of the profile itself first, then those of the layers, the last layer first."""
    rules: list[AcceptRule] = []
    for layer in reversed(layers):
        for number, form in enumerate(layer.model.accept):
            decision, condition = _decision(layer.document, number)
            place = layer.document.place("accept", number)
            origin = Origin(layer.name, layer.model.clause, str(layer.file), place.line)
            rules.append(AcceptRule(_DECISIONS[decision], condition, form.because, origin))
    return tuple(rules)


def _decision(document: Document[ProfileFile], number: int) -> tuple[str, Condition]:
    """What an entry of ``accept`` decides, and for which instances."""
    at, form = ("accept", number), document.model.accept[number]
    given = [
        (decision, text)
        for decision, text in (("accept", form.accept), ("reject", form.reject), ("hold", form.hold))
        if text is not None
    ]
    if len(given) != 1:
        raise document.error(*at, problem="say exactly one of accept, reject and hold")
    ((decision, text),) = given
    place = document.place(*at, decision)
    try:
        return decision, Condition.compile(text, place=str(place))
    except ProfileError as failed:
        raise document.error(*at, decision, problem=str(failed.facts["problem"])) from None
