"""gateway.yaml and the environment as settings, and what is said when they are wrong."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.deliver.dicomweb.settings import DicomWebSettings
from gateway.deliver.folder.settings import FolderSettings
from gateway.errors import ConfigurationError
from gateway.settings.configuration import Settings, load_settings


def load(tmp_path: Path, text: str, **environ: str) -> Settings:
    file = tmp_path / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ)


def test_embedded_defaults(tmp_path: Path) -> None:
    settings = load_settings(None, {"GATEWAY_DATA": str(tmp_path)})
    assert (settings.dicom.ae_title, settings.dicom.port, settings.http.port) == ("GATEWAY", 11112, 8080)
    assert settings.sources is None
    assert settings.routes == ()
    assert settings.destinations == {"archive": FolderSettings(type="folder", path=tmp_path / "archive")}
    assert {name: (one.profile, one.destinations) for name, one in settings.projects.items()} == {
        "default": ("basic", ("archive",))
    }
    assert settings.storage.durability == "full"
    assert settings.ledger_url == f"sqlite:///{tmp_path}/ledger.sqlite3"


@pytest.mark.parametrize(
    ("environ", "data"),
    [
        ({"HOME": "/home/x"}, "~/.local/share/deid-gateway"),  # no variable
        ({"XDG_DATA_HOME": "/var/data"}, "/var/data/deid-gateway"),  # the user's data directory is elsewhere
        ({"XDG_DATA_HOME": "relative"}, "~/.local/share/deid-gateway"),  # the XDG specification ignores relative paths
        ({"GATEWAY_DATA": "/srv/x", "XDG_DATA_HOME": "/var/data"}, "/srv/x"),  # ours stands above
    ],
)
def test_data_directory(environ: Mapping[str, str], data: str) -> None:
    assert load_settings(None, environ).data == Path(data).expanduser()


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    environ = {"GATEWAY_DATA": str(tmp_path)}
    assert load(tmp_path, "# nothing\n", **environ) == load_settings(None, environ)


def test_environment_stands_above_the_file(tmp_path: Path) -> None:
    text = "data: here\ndicom: {port: 104, ae_title: A}\nhttp: {port: 80}\n"
    settings = load(
        tmp_path, text, GATEWAY_DATA=str(tmp_path / "there"), GATEWAY_DICOM_PORT="0", GATEWAY_HTTP_PORT="81"
    )
    assert settings.data == tmp_path / "there"
    assert (settings.dicom.port, settings.dicom.ae_title, settings.http.port) == (0, "A", 81)


def test_gateway_config_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("dicom: {ae_title: OTHER}\n")
    assert load_settings(None, {"GATEWAY_CONFIG": str(tmp_path / "other.yaml")}).dicom.ae_title == "OTHER"


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml"):
        load_settings(tmp_path / "absent.yaml", {})


@pytest.mark.parametrize("value", ["dicom", "-1", "65536", "1.5", "\N{SUPERSCRIPT TWO}"])
def test_wrong_port_in_the_environment(value: str) -> None:
    with pytest.raises(ConfigurationError, match="GATEWAY_DICOM_PORT: a port is a number"):
        load_settings(None, {"GATEWAY_DICOM_PORT": value})


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, "data: d\nprofiles: [p]\ndestinations: {a: {type: folder, path: ../f}}\n")
    assert settings.data == tmp_path / "d"
    assert settings.profiles == (tmp_path / "p",)
    folder = settings.destinations["a"]
    assert isinstance(folder, FolderSettings)
    assert folder.path == tmp_path / ".." / "f"


def test_the_only_destination_is_understood(tmp_path: Path) -> None:
    text = "destinations: {a: {type: folder, path: f}}\nprojects: {p: {}}\n"
    assert load(tmp_path, text).projects["p"].destinations == ("a",)


def test_secrets_come_from_the_environment_and_are_not_shown(tmp_path: Path) -> None:
    text = """
destinations:
  web:
    type: dicomweb
    url: https://${HOST}/dicom-web/
    auth: {type: basic, username: u, password: "${PASSWORD}"}
storage: {ledger: "postgresql://gateway:${PASSWORD}@db/gateway"}
projects: {p: {secret: "${KEY}"}}
"""
    settings = load(tmp_path, text, HOST="archive.example:8443", PASSWORD="hunter2", KEY="k" * 32)
    web = settings.destinations["web"]
    assert isinstance(web, DicomWebSettings)
    assert web.url == "https://archive.example:8443/dicom-web"
    assert web.auth is not None
    assert web.auth.type == "basic"
    assert web.auth.password.get_secret_value() == "hunter2"
    assert settings.ledger_url == "postgresql://gateway:hunter2@db/gateway"
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert "kkk" not in repr(settings)


def test_settings_travel_to_other_processes(tmp_path: Path) -> None:
    text = "sources: {a: {addresses: [10.0.0.0/8]}}\nprojects: {p: {secret: '${KEY}'}}\n"
    settings = load(tmp_path, text, KEY="k" * 32)
    assert pickle.loads(pickle.dumps(settings)) == settings


WRONG = [
    # text, line and column of the first problem, part of its message
    ("dicom:\n  prt: 1\n", "2:3", 'did you mean "port"?'),  # misspelt key
    ("dicmo: {}\n", "1:1", 'did you mean "dicom"?'),  # misspelt section
    ("dicom: {port: 65536}\n", "1:15", "65535"),  # out of range
    ("dicom: {port: '104'}\n", "1:15", "integer"),  # text where a number is needed
    ("dicom: {port: true}\n", "1:15", "integer"),  # a truth value is no number
    ("dicom: {ae_title: ABCDEFGHIJKLMNOPQ}\n", "1:19", "AE title"),  # 17 characters
    ("dicom: {ae_title: 'A\\B'}\n", "1:19", "AE title"),  # backslash
    ("dicom: {ae_title: '   '}\n", "1:19", "AE title"),  # nothing but padding
    ("dicom: {ae_title: CAFÉ}\n", "1:19", "AE title"),  # outside the default repertoire
    ("dicom: {max_pdu_bytes: 100}\n", "1:24", "4096"),  # shorter than any peer accepts
    ("limits: {instance_bytes: 1 furlong}\n", "1:26", "size"),  # no unit of size
    ("storage: {retention: 7}\n", "1:22", "duration"),  # seven what?
    ("storage: {durability: ful}\n", "1:23", 'did you mean "full"?'),  # misspelt choice
    ("storage: {ledger: 'mysql://x'}\n", "1:19", "sqlite:/// or postgresql://"),  # no such ledger
    ("log: {level: trace}\n", "1:14", "not allowed"),  # no such level
    ("workers: {lease_seconds: .inf}\n", "1:26", ""),  # a lease ends
    ("retry: {first_seconds: 10, longest_seconds: 5}\n", "1:8", "less than first_seconds"),  # against each other
    ("sources: {}\n", "1:10", ""),  # nobody may send: hardly meant
    ("sources: {pacs: {}}\n", "1:17", "a source needs"),  # a source that is everybody
    ("sources: {pacs: {addresses: 10.1.2.3/8}}\n", "1:29", "CIDR"),  # bits right of the prefix
    ("sources: {pacs: {addresses: [pacs.example]}}\n", "1:30", "CIDR"),  # names are not addresses
    ("sources: {'../x': {calling_ae: A}}\n", "1:19", "a name has"),  # names are used in paths and labels
    ("destinations: {}\n", "1:15", ""),  # present and empty differs from absent
    ("destinations: {a: {type: foldr, path: x}}\n", "1:26", 'did you mean "folder"?'),  # misspelt type
    ("destinations: {a: {path: x}}\n", "1:19", "type"),  # which kind?
    ("destinations: {a: {type: folder, path: '${HOME}/x'}}\n", "1:40", "not in paths"),  # would be taken literally
    ("destinations: {a: {type: dicomweb, url: 'ftp://x/y'}}\n", "1:41", "http:// or https://"),  # other protocol
    ("destinations: {a: {type: dicomweb, url: 'http://u:p@x/'}}\n", "1:41", "credentials"),  # in the URL
    ("destinations: {a: {type: dicomweb, url: 'http://x/?a=b'}}\n", "1:41", "no query"),  # no base URL
    ("destinations: {a: {type: dicomweb, url: 'http://x:99999/'}}\n", "1:41", "malformed"),  # port
    ("destinations: {a: {type: dicomweb, url: 'http://${HSOT}/'}}\n", "1:41", "HSOT is not set"),  # not set
    ("projects: {p: {secret: literal}}\n", "1:24", "does not stand in the file"),  # secret in the file
    ("projects: {p: {secret: '${NOT_SET}'}}\n", "1:24", "NOT_SET is not set"),  # not set
    ("projects: {p: {secret: '${KEY}', secret_file: f}}\n", "1:15", "exclude each other"),  # two secrets
    ("projects: {p: {destinations: [archiv]}}\n", "1:31", 'did you mean "archive"?'),  # unknown destination
    ("projects: {p: {destinations: []}}\n", "1:30", "at least one"),  # would never be delivered
    ("projects: {p: {destinations: [archive, archive]}}\n", "1:30", "listed twice"),  # would be delivered twice
    (
        "destinations: {a: {type: folder, path: x}, b: {type: folder, path: y}}\nprojects: {p: {}}\n",
        "2:15",
        "destinations",
    ),  # which of the two?
    ("routes: [{project: defualt}]\n", "1:20", 'did you mean "default"?'),  # unknown project
    ("routes: [{project: default, source: pacs}]\n", "1:37", 'no source is named "pacs"'),  # unknown source
    ("routes: [{source: pacs}]\n", "1:10", "project"),  # leads nowhere
    ("projects: {a: {}, b: {}}\n", "1:1", "need routes"),  # which of the two?
]


@pytest.mark.parametrize(("text", "place", "message"), WRONG, ids=[row[0].replace("\n", " ")[:50] for row in WRONG])
def test_wrong_settings_are_told_with_place(tmp_path: Path, text: str, place: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, KEY="k" * 32, HOST="h")
    assert f"{tmp_path}/gateway.yaml:{place}: " in str(caught.value)
    assert message in str(caught.value)


def test_errors_do_not_quote_secrets(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, "projects:\n  p:\n    secret: my-literal-secret\n")
    assert "my-literal-secret" not in str(caught.value)


def test_warnings_name_what_is_hardly_meant(tmp_path: Path) -> None:
    text = """
storage: {durability: none}
destinations:
  used: {type: dicomweb, url: "http://x/", auth: {type: bearer, token: "${T}"}}
  unused: {type: dicomweb, url: "https://x/", verify_tls: false}
projects: {a: {destinations: [used]}, b: {destinations: [used]}}
routes: [{project: a}, {project: a, called_ae: X}]
"""
    places = [warning.split(":")[0] for warning in load(tmp_path, text, T="t").warnings()]
    assert places == [
        "sources",
        "users",
        "storage.durability",
        "routes[0]",
        "destinations.used",
        "destinations.unused",
        "destinations.unused",
        "projects.b",
    ]


def test_sound_settings_have_no_warnings(tmp_path: Path) -> None:
    text = "sources: {pacs: {calling_ae: PACS}}\nusers: {monitoring: {role: viewer, token: '${TOKEN}'}}\n"
    assert load(tmp_path, text, TOKEN="t" * 32).warnings() == []
