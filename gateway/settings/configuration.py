"""The configuration: ``gateway.yaml`` and the environment as typed settings.

Everything has a default: without a file the gateway listens for DICOM on port 11112 as ``GATEWAY``, keeps its data in
one directory, applies the shipped basic profile and delivers into the folder ``archive`` below its data.

The descriptions and examples of the fields are the text of the configuration reference and of ``gateway config
example``. Relative paths are relative to the directory of the file, or to the working directory when there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    StrictBool,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.association.addresses import is_loopback
from gateway.deliver.kinds import Configured
from gateway.errors import ConfigurationError
from gateway.sections.section import (
    AETitles,
    ByteSize,
    Count,
    DestinationNames,
    Directories,
    Duration,
    FilePath,
    Form,
    Name,
    ProjectName,
    Seconds,
    Secret,
    SecretUrl,
    Section,
    SourceName,
    Text,
    reading,
    surrounding,
)
from gateway.sections.yamlfile import load_yaml
from gateway.settings.listener_settings import Dicom, Http, Source, UserSettings
from gateway.settings.notification_settings import Notification, SmtpNotification, WebhookNotification
from gateway.settings.pixel_settings import FaceSettings, PixelSettings

__all__ = [
    "OVERRIDES",
    "Dicom",
    "Http",
    "LimitSettings",
    "Log",
    "Notification",
    "PreviousKey",
    "Project",
    "Retry",
    "Route",
    "Settings",
    "Source",
    "Storage",
    "UserSettings",
    "Workers",
    "default_data",
    "load_settings",
]

#: The environment variables that stand above the file, with the key that each one sets.
OVERRIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "GATEWAY_DATA": ("data",),
    "GATEWAY_DICOM_PORT": ("dicom", "port"),
    "GATEWAY_HTTP_PORT": ("http", "port"),
}


#: Stands for a key that is not given, which differs from an empty mapping: that one is an error.
_ABSENT: Final[dict[str, Any]] = {}


class PreviousKey(Section):
    """A secret that a project had before."""

    version: Annotated[int, Field(strict=True, ge=1), Form("number")] = Field(
        description="its key_version", examples=[1]
    )
    secret: Secret | None = Field(None, description="the secret", examples=["${STUDY_KEY_1}"])
    secret_file: FilePath | None = Field(None, description="file with the secret", examples=["/etc/study.1.key"])

    @model_validator(mode="after")
    def _one_secret(self) -> PreviousKey:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("a previous key has secret or secret_file")
        return self


class Keyed(Section):
    """A secret and those that were there before it."""

    secret: Secret | None = Field(
        None, description="the secret: at least 32 characters that nobody guesses", examples=["${STUDY_KEY}"]
    )
    secret_file: FilePath | None = Field(
        None, description="file with the secret, readable by the service account alone", examples=["/etc/study.key"]
    )
    key_version: Annotated[int, Field(strict=True, ge=1), Form("number")] = Field(
        1, description="number of the secret: a higher one says that another secret is meant"
    )
    previous_keys: tuple[PreviousKey, ...] = Field((), description="secrets of lower versions")

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("secret and secret_file exclude each other")
        return self

    @model_validator(mode="after")
    def _versions_ascend(self) -> Self:
        versions = [previous.version for previous in self.previous_keys]
        if len(set(versions)) < len(versions) or any(version >= self.key_version for version in versions):
            raise ValueError("previous_keys: each has a version of its own, below key_version")
        return self


class GatewayKey(Keyed):
    """The gateway's own secret, of no project: by it `gateway find --original` finds what was received."""


class Project(Keyed):
    """The unit of isolation: secret, profile, destinations. Without a secret here one is made and kept in the data."""

    profile: Text = Field("basic", description="name of the profile, or path of its file")
    secret: Secret | None = Field(
        None, description="the project's secret: at least 32 characters that nobody guesses", examples=["${STUDY_KEY}"]
    )
    key_version: Annotated[int, Field(strict=True, ge=1), Form("number")] = Field(
        1,
        description="number of the secret: a higher one says that another secret, and so another pseudonym for every "
        "patient, is meant",
    )
    previous_keys: tuple[PreviousKey, ...] = Field(
        (), description="secrets of lower versions, to look up what was pseudonymised with them"
    )
    destinations: DestinationNames = Field(
        description="where its instances go; may be left out when there is one destination", examples=[["archive"]]
    )
    priority: Annotated[int, Field(strict=True, ge=0, le=9), Form("number")] = Field(
        0, description="0 to 9: at every destination the studies of a higher one go first"
    )
    on_change: Literal["remake", "hold", "send"] = Field(
        "remake",
        description="what becomes of outputs that are not delivered yet when another profile becomes active: `remake` "
        "makes them anew by the new one, `hold` leaves it to a person, `send` sends them as they are",
    )
    crosswalk: StrictBool = Field(
        default=False,
        description="keep, encrypted with the secret, which original became what, for `gateway reidentify`",
    )
    propose_words: Annotated[int, Field(strict=True, ge=0, le=10_000), Form("number")] = Field(
        20,
        description="words that cleaning does not know are proposed for the site's vocabulary when so many patients "
        "have them (`gateway vocabulary`); until then only keyed hashes are kept; 0 proposes none",
    )

    @model_validator(mode="before")
    @classmethod
    def _only_destination(cls, data: Any) -> Any:
        known = surrounding().names.get("destination", ())
        if isinstance(data, dict) and "destinations" not in data and len(known) == 1:
            return {**data, "destinations": list(known)}
        return data


class Route(Section):
    """A line of the table that decides an instance's project. An instance must meet every condition that is given."""

    project: ProjectName = Field(description="project of the instances that match", examples=["chest"])
    name: Name | None = Field(
        None, description="name, which conditions of profiles know as `route`", examples=["chest-room"]
    )
    source: SourceName | None = Field(None, description="source that sent it", examples=["pacs"])
    called_ae: AETitles = Field((), description="AE title that was called", examples=["CHEST"])
    calling_ae: AETitles = Field((), description="AE title that called", examples=["PACS"])
    when: Text | None = Field(
        None, description="condition on its elements in CEL", examples=["Modality in ['CR', 'DX']"]
    )

    @property
    def is_unconditional(self) -> bool:
        """Whether every instance matches."""
        return not (self.source or self.called_ae or self.calling_ae or self.when)


class Storage(Section):
    """The spool and the ledger."""

    durability: Literal["full", "data", "none"] = Field(
        "full",
        description="what is on stable storage before Success is answered: `full` the bytes and their directory entry, "
        "`data` the bytes, `none` nothing (only for tests: a power loss loses instances)",
    )
    reserve_bytes: ByteSize = Field(1024**3, description="free space below which instances are refused (0xA700)")
    retention: Duration = Field(7 * 86400, description="how long originals are kept after their delivery")
    history: Duration | None = Field(
        None,
        description="how long after its bytes were removed the history of an instance stays in the ledger; then it "
        "goes to a file in `history/` in the data; for ever by default",
        examples=["365d"],
    )
    instances: Duration | None = Field(
        None,
        description="how long after its bytes were removed the rows of an instance stay in the ledger; then all that "
        "is known of it goes to a file in `history/`, and a copy sent again is a new one; for ever by default",
        examples=["1825d"],
    )
    ledger: SecretUrl | None = Field(
        None,
        description="URL of the ledger's database, SQLite or PostgreSQL; by default `ledger.sqlite3` in the data",
        examples=["postgresql://gateway:${LEDGER_PASSWORD}@localhost/gateway"],
    )

    @field_validator("ledger")
    @classmethod
    def _has_a_known_scheme(cls, url: SecretUrl | None) -> SecretUrl | None:
        if url is not None and not url.get_secret_value().startswith(
            ("sqlite:///", "postgresql://", "postgresql+psycopg://")
        ):
            raise ValueError("the ledger's URL begins with sqlite:/// or postgresql://")
        return url


class LimitSettings(Section):
    """What an instance may be; beyond that it is refused or held."""

    instance_bytes: Annotated[ByteSize, Field(ge=1024)] = Field(8 * 1024**3, description="size of a data set received")
    reencode_bytes: Annotated[ByteSize, Field(ge=1024)] = Field(
        512 * 1024**2, description="size of a data set, inflated, whose encoding must be rewritten in memory"
    )
    depth: Annotated[Count, Field(le=100)] = Field(32, description="nesting of sequences")
    elements: Count = Field(500_000, description="data elements at all levels")


class Workers(Section):
    """The processes that de-identify."""

    deidentify: Annotated[Count, Field(le=256)] | None = Field(
        None, description="processes that de-identify; by default half the processors, at least one", examples=[2]
    )
    lease_seconds: Seconds = Field(300.0, description="time after which another worker takes up what one has claimed")
    instance_seconds: Seconds = Field(
        300.0,
        description="time that one instance may take, and a second more for each 500 kB of it; then the process is "
        "ended, and the instance is held after three such ends",
    )
    stop_seconds: Seconds = Field(30.0, description="time that running work gets to finish when the gateway stops")


class Retry(Section):
    """Failed deliveries: wait, then try again, longer each time, at random within the wait."""

    first_seconds: Seconds = Field(5.0, description="first wait")
    factor: Annotated[float, Field(strict=True, ge=1, le=10), Form("number")] = Field(
        2.0, description="each wait in relation to the one before"
    )
    longest_seconds: Seconds = Field(3600.0, description="longest wait")
    attempts: Count = Field(200, description="attempts after which a delivery is dead and a human decides")

    @model_validator(mode="after")
    def _grows(self) -> Retry:
        if self.longest_seconds < self.first_seconds:
            raise ValueError("longest_seconds is less than first_seconds")
        return self


class Log(Section):
    """The log on standard error."""

    format: Literal["console", "json"] = Field("console", description="for people, or one JSON object per line")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severity that is logged")


def default_data(environ: Mapping[str, str]) -> Path:
    """Where the data is when nothing says so: below ``XDG_DATA_HOME``, by default ``~/.local/share``."""
    home = environ.get("XDG_DATA_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path("~/.local/share").expanduser()
    return base / "deid-gateway"


class Settings(Section):
    """Everything that can be configured."""

    data: FilePath = Field(
        default_factory=lambda: default_data(surrounding().environ),
        description="directory of everything that the gateway keeps: spool, ledger, secrets; by default "
        "`deid-gateway` in the user's data directory",
        examples=["/var/lib/deid-gateway"],
    )
    dicom: Dicom = Field(default_factory=Dicom, description="the DICOM listener")
    http: Http = Field(default_factory=Http, description="the HTTP listener")
    sources: Annotated[dict[Name, Source], Field(min_length=1)] | None = Field(
        None, description="who may send; everybody when absent"
    )
    users: Annotated[dict[Name, UserSettings], Field(min_length=1)] | None = Field(
        None, description="who may ask over HTTP; whoever has the token in the data, `http.token`, when absent"
    )
    destinations: Annotated[dict[Name, Configured], Field(min_length=1)] = Field(
        default_factory=lambda: _ABSENT,
        validate_default=True,
        description="where instances go; by default `archive`, a folder in the data",
    )
    projects: Annotated[dict[Name, Project], Field(min_length=1)] = Field(
        default_factory=lambda: _ABSENT, validate_default=True, description="projects; by default one named `default`"
    )
    gateway_key: GatewayKey = Field(
        default_factory=GatewayKey,
        description="the gateway's own secret; without one here it is made and kept in the data",
    )
    routes: tuple[Route, ...] = Field(
        (),
        validate_default=True,
        description="which project an instance belongs to: the first match decides, without a match it is held; "
        "absent, everything belongs to the only project",
    )
    storage: Storage = Field(default_factory=Storage, description="spool and ledger")
    limits: LimitSettings = Field(default_factory=LimitSettings, description="what an instance may be")
    pixels: PixelSettings = Field(default_factory=PixelSettings, description="what reading and writing frames may take")
    deface: FaceSettings = Field(default_factory=FaceSettings, description="how faces are taken out of series")
    workers: Workers = Field(default_factory=Workers, description="processes that de-identify")
    retry: Retry = Field(default_factory=Retry, description="failed deliveries")
    notifications: Annotated[dict[Name, Notification], Field(min_length=1)] | None = Field(
        None, description="who is told what happens, by webhook or e-mail; nobody when absent"
    )
    log: Log = Field(default_factory=Log, description="the log")
    profiles: Directories = Field(
        (), description="directories with profiles, searched before the shipped ones", examples=[["profiles"]]
    )

    @model_validator(mode="wrap")
    @classmethod
    def _with_names(cls, data: Any, handler: ModelWrapValidatorHandler[Settings]) -> Settings:
        """Let references be checked where they stand: routes and projects refer to names defined elsewhere."""
        if not isinstance(data, dict):
            return handler(data)
        data = _overridden(data)
        given = {key: data.get(f"{key}s") for key in ("source", "destination", "project")}
        names = {key: list(value) for key, value in given.items() if isinstance(value, dict)}
        defaults = {"source": [], "destination": ["archive"], "project": ["default"]}
        with reading(names={**defaults, **names}):
            return handler(data)

    @field_validator("destinations", mode="before")
    @classmethod
    def _default_destination(cls, value: Any, info: ValidationInfo) -> Any:
        if value is _ABSENT and "data" in info.data:
            return {"archive": {"type": "folder", "path": info.data["data"] / "archive"}}
        return value

    @field_validator("sources")
    @classmethod
    def _certificates_are_asked_for(cls, sources: dict[str, Source] | None, info: ValidationInfo) -> Any:
        dicom = info.data.get("dicom")
        asks = dicom is None or (dicom.tls is not None and dicom.tls.ca_file is not None)
        for name, source in (sources or {}).items():
            if source.certificate is not None and not asks:
                raise ValueError(f"{name}.certificate: dicom.tls does not ask for certificates")
        return sources

    @field_validator("destinations")
    @classmethod
    def _listens_once(cls, destinations: dict[str, Configured], info: ValidationInfo) -> dict[str, Configured]:
        dicom = info.data.get("dicom")
        listeners = (dicom, info.data.get("http"), dicom and dicom.tls)
        taken = {one.port for one in listeners if one is not None and one.port}
        for name, destination in destinations.items():
            for key, port in destination.ports():
                if port in taken:
                    raise ValueError(f"{name}.{key}: something else of the gateway listens on {port}")
                taken.add(port)
        return destinations

    @field_validator("projects", mode="before")
    @classmethod
    def _default_project(cls, value: Any) -> Any:
        return {"default": {}} if value is _ABSENT else value

    @field_validator("routes")
    @classmethod
    def _routes_decide(cls, routes: tuple[Route, ...], info: ValidationInfo) -> tuple[Route, ...]:
        if not routes and len(info.data.get("projects", ())) > 1:
            raise ValueError("several projects need routes that decide between them")
        return routes

    @property
    def ledger_url(self) -> str:
        """URL of the ledger's database; it may hold a password."""
        if self.storage.ledger is not None:
            return self.storage.ledger.get_secret_value()
        return f"sqlite:///{self.data / 'ledger.sqlite3'}"

    def warnings(self) -> list[str]:
        """What is allowed and hardly meant: shown by ``gateway config check`` and logged at start."""
        warnings = []
        if self.sources is None:
            warnings.append("sources: everybody who reaches the DICOM port may send")
        warnings += self._open_doors()
        if self.storage.durability == "none":
            warnings.append("storage.durability: a power loss loses acknowledged instances")
        used = {name for project in self.projects.values() for name in project.destinations}
        routed = {route.project for route in self.routes}
        for number, route in enumerate(self.routes[:-1]):
            if route.is_unconditional:
                warnings.append(f"routes[{number}]: matches everything, so the routes after it decide nothing")
                break
        for name, destination in self.destinations.items():
            if name not in used:
                warnings.append(f"destinations.{name}: no project delivers there")
            warnings += [f"destinations.{name}: {one}" for one in destination.warnings()]
        warnings += self._open_mouths()
        if self.routes:
            warnings += [f"projects.{name}: no route leads there" for name in self.projects if name not in routed]
        return warnings

    def _open_mouths(self) -> list[str]:
        """What is told in a way that hardly anybody means."""
        warnings = []
        for name, one in (self.notifications or {}).items():
            plain = one.url.startswith("http:") if isinstance(one, WebhookNotification) else one.security == "none"
            if plain:
                warnings.append(f"notifications.{name}: messages travel unencrypted")
            elif not one.verify_tls:
                warnings.append(f"notifications.{name}: the server's certificate is not checked")
            if isinstance(one, SmtpNotification) and one.pseudonyms:
                warnings.append(f"notifications.{name}.pseudonyms: e-mail is kept in many places")
        return warnings

    def _open_doors(self) -> list[str]:
        """What the listeners allow and hardly anybody means."""
        warnings = []
        if self.dicom.tls is not None and self.dicom.accepts_plain:
            warnings.append("dicom.plain: instances may still come unencrypted")
        if self.users is None:
            warnings.append(
                "users: there are none, so nobody but who has the token in the data, http.token, may ask over HTTP"
            )
        elif self.http.tls is None and not is_loopback(self.http.host):
            warnings.append("http.tls: passwords and tokens travel unencrypted")
        return warnings


def _overridden(data: dict[Any, Any]) -> dict[Any, Any]:
    """The content of the file with the environment's values in place of its own."""
    environ = surrounding().environ
    for variable, (section, *rest) in OVERRIDES.items():
        value: object = environ.get(variable, "")
        if not value:
            continue
        if rest:
            inner = data.get(section) or {}
            if not isinstance(inner, dict):
                continue
            value = {**inner, rest[0]: int(str(value))}
        else:
            value = Path.cwd() / Path(str(value)).expanduser()
        data = {**data, section: value}
    return data


def _check_overrides(environ: Mapping[str, str]) -> None:
    for variable, path in OVERRIDES.items():
        value = environ.get(variable, "")
        if value and path[-1] == "port" and not (value.isascii() and value.isdigit() and int(value) <= 65535):
            raise ConfigurationError(place=variable, problem="a port is a number from 0 to 65535")


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a file and the environment.

    Parameters
    ----------
    path
        the file; None takes the one that ``GATEWAY_CONFIG`` names, or the embedded defaults without it.
    environ
        environment variables: those of ``OVERRIDES`` and those that the file names as ``${NAME}``.

    Raises
    ------
    ConfigurationError
        a key or value is wrong; names file, line and column, and the nearest right word.
    """
    _check_overrides(environ)
    if path is None and environ.get("GATEWAY_CONFIG"):
        path = Path(environ["GATEWAY_CONFIG"]).expanduser()
    if path is None:
        with reading(directory=Path.cwd(), environ=environ):
            return _defaults()
    with reading(directory=path.absolute().parent, environ=environ):
        return load_yaml(path, Settings, error=ConfigurationError)


def _defaults() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        problem = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigurationError(place="the environment", problem=problem) from None
