"""The kinds of value that settings have: sizes, durations, AE titles, networks, secrets, paths.

Each kind is an annotated type for pydantic models. Its ``Form`` says how the value is written, for the generated
reference; its validator turns what stands in the file into the value.

Some kinds depend on where the settings come from: paths are relative to the file, secrets name environment variables,
routes name projects. ``reading`` sets that surrounding for the time of one validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, SecretStr, StrictStr

from gateway.sections.yamlfile import suggestion

Value = TypeVar("Value")


class Section(BaseModel):
    """A mapping of the file: it has the keys that its fields say, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Form:
    """How a value is written (``text``) and how a default is shown in the reference."""

    text: str
    show: Callable[[Any], str] = str


@dataclass(frozen=True, slots=True)
class Surrounding:
    """What the values of one validation may refer to."""

    directory: Path = field(default_factory=Path.cwd)
    environ: Mapping[str, str] = field(default_factory=dict)
    #: Kind of thing -> names that the settings define.
    names: Mapping[str, Collection[str]] = field(default_factory=dict)


_SURROUNDING: Final[ContextVar[Surrounding | None]] = ContextVar("surrounding", default=None)


def surrounding() -> Surrounding:
    """The surrounding of the running validation; the working directory and no environment outside of ``reading``."""
    return _SURROUNDING.get() or Surrounding()


@contextmanager
def reading(**changes: Any) -> Iterator[None]:
    """Validate with a surrounding that differs from the present one by ``changes``."""
    token = _SURROUNDING.set(replace(surrounding(), **changes))
    try:
        yield
    finally:
        _SURROUNDING.reset(token)


# Sizes and durations ------------------------------------------------------------------------------------------------

_SIZES: Final = {"B": 1, **{f"{p}B": 1000**n for n, p in enumerate("kMGT", 1)}}
_SIZES_BINARY: Final = {f"{p}iB": 1024**n for n, p in enumerate("KMGT", 1)}
_BYTES_OF: Final = {unit.lower(): factor for unit, factor in {**_SIZES, **_SIZES_BINARY}.items()}
_SECONDS_OF: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_DURATION: Final = re.compile(r"(?:\d+[wdhms]\s*)+")


def parse_size(value: object) -> int:
    """A size in bytes from ``2 GiB``, ``500 MB`` or a plain number of bytes.

    Raises
    ------
    ValueError
        it is no size.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    factor = _BYTES_OF.get((match[2] or "B").lower()) if match else None
    if match is None or factor is None:
        raise ValueError("a size is a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 2 GiB")
    return int(float(match[1]) * factor) if "." in match[1] else int(match[1]) * factor


def show_size(size: int) -> str:
    """The size in the largest unit that shows it exactly."""
    units = sorted({**_SIZES, **_SIZES_BINARY}.items(), key=lambda unit: -unit[1])
    return next((f"{size // factor} {unit}" for unit, factor in units if size and size % factor == 0), "0 B")


def parse_duration(value: object) -> int:
    """A duration in seconds from ``7d``, ``1h 30m`` or ``90s``.

    Raises
    ------
    ValueError
        it is no duration; a plain number other than 0 is none because its unit would be a guess.
    """
    if value == 0 and not isinstance(value, bool):
        return 0
    if not isinstance(value, str) or not _DURATION.fullmatch(value.strip()):
        raise ValueError("a duration is numbers with w, d, h, m or s, such as 7d or 1h 30m")
    return sum(int(number) * _SECONDS_OF[unit] for number, unit in re.findall(r"(\d+)([wdhms])", value))


def show_duration(seconds: int) -> str:
    """The duration in days, hours, minutes and seconds: ``1d 12h``."""
    parts = []
    for unit in "dhms":
        count, seconds = divmod(seconds, _SECONDS_OF[unit])
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts) or "0s"


# Names, titles, networks --------------------------------------------------------------------------------------------


def _ae_title(value: str) -> str:
    title = value.strip(" ")
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ValueError("an AE title has 1 to 16 ASCII characters without backslash or control characters (PS3.5 6.2)")
    return title


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", value):
        raise ValueError("a name has 1 to 64 letters, digits, _, -, . and begins with a letter or digit")
    return value


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError as error:
        hint = " (bits to the right of the prefix are set)" if "host bits" in str(error) else ""
        raise ValueError(f"an address or network in CIDR notation is needed, such as 10.1.0.0/16{hint}") from None


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    twice = [value for number, value in enumerate(values) if value in values[:number]]
    if twice:
        raise ValueError(f"{twice[0]} is listed twice")
    return values


def _some(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if not values:
        raise ValueError("at least one is needed")
    return values


def _known(kind: str) -> Callable[[str], str]:
    def check(name: str) -> str:
        known = surrounding().names.get(kind)
        if known is not None and name not in known:
            raise ValueError(f'no {kind} is named "{name}"{suggestion(name, known)}')
        return name

    return check


# Environment, secrets, paths ----------------------------------------------------------------------------------------

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(text: str) -> str:
    """``text`` with every ``${NAME}`` replaced by the environment variable.

    Raises
    ------
    ValueError
        a variable is not set or empty; its name is told, never a value.
    """
    environ = surrounding().environ

    def value_of(match: re.Match[str]) -> str:
        value = environ.get(match[1], "")
        if not value:
            raise ValueError(f"the environment variable {match[1]} is not set{suggestion(match[1], environ)}")
        return value

    return _VARIABLE.sub(value_of, text)


def _secret(value: object) -> object:
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ValueError("a secret does not stand in the file: write ${NAME} and set the environment variable NAME")
    return SecretStr(expand(value))


def _secret_url(value: object) -> object:
    return SecretStr(expand(value)) if isinstance(value, str) else value


def _http_url(value: str) -> str:
    url = expand(value).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an http:// or https:// URL is needed")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL carries no credentials: use auth")
    if parts.query or parts.fragment:
        raise ValueError("the URL of a service has no query and no fragment")
    if re.search(r"[\s\x00-\x1f]", url) or not _has_valid_port(url):
        raise ValueError("the URL is malformed")
    return url


def _has_valid_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("a path is needed")
    if _VARIABLE.search(str(value)):
        raise ValueError("environment variables are replaced in secrets and URLs only, not in paths")
    return surrounding().directory / Path(value).expanduser()


# The kinds ----------------------------------------------------------------------------------------------------------

ByteSize = Annotated[int, BeforeValidator(parse_size), Form("size", show_size)]
Duration = Annotated[int, BeforeValidator(parse_duration), Form("duration", show_duration)]
Seconds = Annotated[FiniteFloat, Field(strict=True, gt=0, le=86400), Form("seconds", "{:g}".format)]
Count = Annotated[int, Field(strict=True, ge=1), Form("number")]
Port = Annotated[int, Field(strict=True, ge=0, le=65535), Form("port")]
Name = Annotated[StrictStr, AfterValidator(_name), Form("name")]
Text = Annotated[StrictStr, Field(min_length=1), Form("text")]
AETitle = Annotated[StrictStr, AfterValidator(_ae_title), Form("AE title")]
AETitles = Annotated[
    tuple[AETitle, ...], BeforeValidator(_one_or_more), AfterValidator(_distinct), Form("AE title or list of them")
]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network), Form("CIDR")]
Networks = Annotated[
    tuple[Network, ...], BeforeValidator(_one_or_more), AfterValidator(_distinct), Form("list of addresses or networks")
]
FilePath = Annotated[Path, BeforeValidator(_path), Form("path")]
Directories = Annotated[tuple[FilePath, ...], Form("list of directories")]
Secret = Annotated[SecretStr, BeforeValidator(_secret), Form("`${NAME}`")]
SecretUrl = Annotated[SecretStr, BeforeValidator(_secret_url), Form("URL, `${NAME}` is replaced")]
HttpUrl = Annotated[StrictStr, AfterValidator(_http_url), Form("URL, `${NAME}` is replaced")]
ProjectName = Annotated[StrictStr, AfterValidator(_known("project")), Form("name of a project")]
SourceName = Annotated[StrictStr, AfterValidator(_known("source")), Form("name of a source")]
DestinationNames = Annotated[
    tuple[Annotated[StrictStr, AfterValidator(_known("destination"))], ...],
    AfterValidator(_distinct),
    AfterValidator(_some),
    Form("list of destinations"),
]
