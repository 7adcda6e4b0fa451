"""The Grafana dashboard: that Prometheus takes its expressions, and that nothing exported is left out of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from gateway.metrics import METERS
from tests.fixtures.dashboard import dashboard, queries, unanswered

#: Shown nowhere: it says of which version the gateway is, and the health of the scrape itself.
NOT_SHOWN = {"gateway_build_info", "gateway_readable"}


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query.expression} for number, query in enumerate(queries())]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_figure_is_shown() -> None:
    shown = {name for query in queries() for name in query.selectors}
    named = {f"{meter.name}_bucket" if meter.buckets else meter.name for meter in METERS if meter.name not in NOT_SHOWN}
    assert named - shown == set()


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])


def test_the_check_finds_what_is_not_exported() -> None:
    wrong = unanswered('gateway_ready 1.0\ngateway_instances{wrong="held"} 1.0\n')
    assert "Ledger takes writes: gateway_ledger_writable" in wrong
    assert "Held for a human: gateway_instances{state}" in wrong
    assert not any(line.startswith("Ready:") for line in wrong)
