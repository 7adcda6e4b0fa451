"""Secrets of projects: made once, kept to the service account, never weak."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.custody.secret import project_secret, secret_path
from gateway.errors import ConfigurationError
from gateway.settings.configuration import Settings, load_settings

STRONG = "0123456789abcdef" * 4


def settings_of(tmp_path: Path, project: str = "{}", **environ: str) -> Settings:
    file = tmp_path / "gateway.yaml"
    file.write_text(f"data: data\nprojects: {{p: {project}}}\n")
    return load_settings(file, environ)


def test_made_on_first_use_and_kept(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    secret = project_secret(settings, "p")
    path = secret_path(settings, "p")
    assert len(secret) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert project_secret(settings, "p") == secret
    assert [file.name for file in path.parent.iterdir()] == ["p.key"]


def test_not_made_when_it_must_exist(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with pytest.raises(ConfigurationError, match=r"p\.key: the secret cannot be read"):
        project_secret(settings, "p", create=False)
    assert not secret_path(settings, "p").exists()


def test_projects_differ(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (settings_of(tmp_path / name) for name in ("one", "two"))
    assert project_secret(one, "p") != project_secret(two, "p")


def test_all_that_start_at_once_get_the_same(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(lambda _: project_secret(settings, "p"), range(64)))
    assert len(secrets) == 1
    assert [file.name for file in secret_path(settings, "p").parent.iterdir()] == ["p.key"]


def test_environment_and_file_give_the_same(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(STRONG + "\n")
    file.chmod(0o600)
    by_file = project_secret(settings_of(tmp_path, "{secret_file: key}"), "p")
    by_environment = project_secret(settings_of(tmp_path, "{secret: '${KEY}'}", KEY=STRONG), "p")
    assert by_file == by_environment == STRONG.encode()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o610])
def test_readable_by_others_is_refused(tmp_path: Path, mode: int) -> None:
    settings = settings_of(tmp_path)
    project_secret(settings, "p")
    secret_path(settings, "p").chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        project_secret(settings, "p")


@pytest.mark.parametrize(
    "content",
    [
        b"",  # empty
        b"short\n",  # guessable
        b"a" * 64,  # long and guessable
        b"\xff" * 64,  # no text
        STRONG.encode() * 100,  # no secret but something else
    ],
)
def test_weak_secrets_are_refused_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        project_secret(settings_of(tmp_path, "{secret_file: key}"), "p")
    assert str(file) in str(caught.value)
    assert "short" not in str(caught.value)


def test_only_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(ConfigurationError, match="regular file"):
        project_secret(settings_of(tmp_path, "{secret_file: key}"), "p")


def test_unwritable_data_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the directory should be")
    with pytest.raises(ConfigurationError, match="no secret can be made there"):
        project_secret(settings_of(tmp_path), "p")
