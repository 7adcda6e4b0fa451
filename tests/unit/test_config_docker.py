"""The files of docker/: that they fit each other and the code."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.console.authentication import Authenticator, Person
from gateway.deliver.dicomweb.settings import DicomWebSettings
from gateway.metrics import METERS
from gateway.settings.accounts import Role
from gateway.settings.configuration import load_settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
ENVIRON = {"GATEWAY_DATA": "/data", "METRICS_TOKEN": "t" * 64}


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments, continued lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", (DOCKER / "Dockerfile").read_text()).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word
    ]


def test_configuration_is_correct_and_fits_the_services(compose: Any) -> None:
    settings = load_settings(DOCKER / "gateway.yaml", ENVIRON)
    ports = [port.rpartition(":")[2] for port in compose["services"]["gateway"]["ports"]]
    assert ports == [str(settings.dicom.port), str(settings.http.port)]
    for destination in settings.destinations.values():
        assert isinstance(destination, DicomWebSettings)
        assert destination.url.split("/")[2].split(":")[0] in compose["services"]


def test_what_is_mounted_exists(compose: Any) -> None:
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in compose["volumes"]
        assert set(service.get("depends_on", [])) <= set(compose["services"])


def test_the_gateway_runs_without_rights(compose: Any) -> None:
    service = compose["services"]["gateway"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    user = [rest for word, rest in instructions() if word == "USER"]
    assert user == ["10001:10001"]
    assert ("VOLUME", "/data") in instructions()


def test_stopping_waits_longer_than_the_gateway_needs(compose: Any) -> None:
    seconds = int(compose["services"]["gateway"]["stop_grace_period"].removesuffix("s"))
    assert seconds > load_settings(DOCKER / "gateway.yaml", ENVIRON).workers.stop_seconds


def test_image_copies_what_the_build_needs() -> None:
    copied = {word for instruction, rest in instructions() if instruction == "COPY" for word in rest.split()[:-1]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert {*needed, *wheel["packages"], *wheel["force-include"]} <= copied
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in {*needed, *wheel["packages"], *wheel["force-include"]}} <= set(ignored)


#: The token's file is in the container only.
CHECKS = [["config", "--syntax-only", "prometheus.yml"], ["rules", "alerts.yml"]]


@pytest.mark.parametrize("arguments", CHECKS)
def test_prometheus_accepts_its_files(arguments: list[str]) -> None:
    done = subprocess.run(["promtool", "check", *arguments], cwd=DOCKER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_asks_the_gateway(compose: Any) -> None:
    scraped = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["scrape_configs"][0]
    host, port = scraped["static_configs"][0]["targets"][0].split(":")
    assert host in compose["services"]
    assert port == "8080"


def test_p10_prometheus_shows_the_token_that_the_gateway_knows(compose: Any) -> None:
    scraped = yaml.safe_load((DOCKER / "prometheus.yml").read_text())["scrape_configs"][0]
    name = scraped["authorization"]["credentials_file"].rpartition("/")[2]
    assert name in compose["services"]["prometheus"]["secrets"]
    variable = compose["secrets"][name]["environment"]
    assert variable in compose["services"]["gateway"]["environment"]
    users = load_settings(DOCKER / "gateway.yaml", ENVIRON).users or {}
    door = Authenticator(tuple(user.user(key) for key, user in users.items()))
    headers = {"Authorization": f"Bearer {ENVIRON[variable]}"}
    assert door.recognise(headers.get, peer="172.18.0.4") == Person("prometheus", Role.VIEWER)


def test_alerts_ask_for_figures_that_exist() -> None:
    names = {meter.name for meter in METERS}
    rules = yaml.safe_load((DOCKER / "alerts.yml").read_text())["groups"][0]["rules"]
    asked = {name for rule in rules for name in re.findall(r"\bgateway_\w+", rule["expr"])}
    assert asked
    assert asked <= names
