"""Each alert fires at its first event and is silent in health: by promtool, from series as the gateway exports them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ALERTS = Path(__file__).parents[2] / "docker" / "alerts.yml"
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]

#: What a healthy gateway exports: counters stand or grow as work is done, gauges are as they should be.
#: One sample a minute; ``a+bxn`` is promtool's notation.
LONG = "x800"
HEALTHY = {
    'up{job="gateway"}': f"1+0{LONG}",
    'gateway_ready{job="gateway"}': f"1+0{LONG}",
    'gateway_readable{job="gateway"}': f"1+0{LONG}",
    'gateway_ledger_writable{job="gateway"}': f"1+0{LONG}",
    'gateway_worker_restarts_total{job="gateway",role="deidentify"}': f"0+0{LONG}",
    'gateway_worker_busy_seconds{job="gateway",worker="deidentify-1"}': f"0 12 0 40{' 0 1' * 400}",
    'gateway_worker_busy_seconds{job="gateway",worker="deidentify-2"}': f"300+0{LONG}",
    'gateway_decoding_too_long_total{job="gateway",source="pacs"}': f"0+0{LONG}",
    'gateway_instances_received_total{job="gateway",source="pacs"}': f"0+50{LONG}",
    'gateway_instances_refused_total{job="gateway",source="pacs",reason="spool-full"}': f"0+0{LONG}",
    'gateway_instances_refused_total{job="gateway",source="pacs",reason="association-ended"}': f"0+1{LONG}",
    'gateway_associations_refused_total{job="gateway",reason="calling-ae"}': f"0+0{LONG}",
    'gateway_instances_oldest_seconds{job="gateway",state="received"}': f"20+0{LONG}",
    'gateway_instances{job="gateway",state="received"}': f"500+0{LONG}",
    'gateway_instances{job="gateway",state="held"}': f"0+0{LONG}",
    'gateway_instances_oldest_seconds{job="gateway",state="held"}': f"0+0{LONG}",
    'gateway_profiles_refused{job="gateway"}': f"0+0{LONG}",
    'gateway_destination_up{job="gateway",destination="archive"}': f"1+0{LONG}",
    'gateway_destination_outage{job="gateway",destination="archive",reason="credentials"}': f"0+0{LONG}",
    'gateway_deliveries_oldest_seconds{job="gateway",destination="archive",state="pending"}': f"60+0{LONG}",
    'gateway_deliveries{job="gateway",destination="archive",state="dead"}': f"0+0{LONG}",
    'gateway_deliveries{job="gateway",destination="archive",state="pending"}': f"900+0{LONG}",
    'gateway_notifier_up{job="gateway",notifier="desk"}': f"1+0{LONG}",
    'gateway_disk_free_bytes{job="gateway",disk="spool"}': f"100000000000+0{LONG}",
    'gateway_disk_free_bytes{job="gateway",disk="ledger"}': f"100000000000+0{LONG}",
    'gateway_disk_reserve_bytes{job="gateway"}': f"1073741824+0{LONG}",
    'gateway_certificate_expiry_timestamp_seconds{job="gateway",certificate="dicom.tls"}': f"31536000+0{LONG}",
}


@dataclass(frozen=True)
class Case:
    """One event, from health on.

    Attributes
    ----------
    alert: which one fires
    changes: series -> what differs from health
    labels: of the alert, besides its severity and those of every series
    at: minutes after the start at which it fires; the event comes in minute 10
    also: others that rightly fire with it
    """

    alert: str
    changes: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    at: int = 12
    also: tuple[str, ...] = ()


def since_minute_ten(before: float, after: float, *, grows: float = 0) -> str:
    """``before`` in the first ten minutes, then ``after``, which grows by so much a minute."""
    return f"{before:g}+0x9 {after:g}+{grows:g}x60"


UP, READY = 'up{job="gateway"}', 'gateway_ready{job="gateway"}'
CASES = [
    Case("GatewayDown", {UP: since_minute_ten(1, 0)}, at=14),
    Case("GatewayNotReady", {READY: since_minute_ten(1, 0)}, at=16),
    Case("GatewayCannotReadLedger", {'gateway_readable{job="gateway"}': since_minute_ten(1, 0)}, at=16),
    Case("GatewayLedgerTakesNoWrites", {'gateway_ledger_writable{job="gateway"}': since_minute_ten(1, 0)}),
    Case(
        "GatewayProcessesDie",
        {'gateway_worker_restarts_total{job="gateway",role="deidentify"}': since_minute_ten(0, 1, grows=1)},
        {"role": "deidentify"},
        at=16,
    ),
    Case(
        "GatewayWorkerWithoutProgress",
        {'gateway_worker_busy_seconds{job="gateway",worker="deidentify-1"}': since_minute_ten(0, 60, grows=60)},
        at=16,
    ),
    Case(
        "GatewayCodecTooLong",
        {'gateway_decoding_too_long_total{job="gateway",source="pacs"}': since_minute_ten(0, 1)},
        {"source": "pacs"},
    ),
    # The first instance that is ever refused, and the first association.
    Case(
        "GatewayInstancesRefused",
        {
            'gateway_instances_refused_total{job="gateway",source="pacs",reason="spool-full"}': since_minute_ten(0, 1),
        },
        {"source": "pacs", "reason": "spool-full"},
    ),
    Case(
        "GatewayAssociationsRefused",
        {'gateway_associations_refused_total{job="gateway",reason="calling-ae"}': since_minute_ten(0, 1)},
        {"reason": "calling-ae"},
    ),
    Case(
        "GatewayQueueStuck",
        {'gateway_instances_oldest_seconds{job="gateway",state="received"}': since_minute_ten(20, 1801)},
        {"state": "received"},
    ),
    Case(
        "GatewayInstancesHeld",
        {'gateway_instances{job="gateway",state="held"}': since_minute_ten(0, 1)},
        {"state": "held"},
        at=16,
    ),
    Case(
        "GatewayHeldTooLong",
        {'gateway_instances_oldest_seconds{job="gateway",state="held"}': since_minute_ten(0, 3 * 86400 + 1)},
        {"state": "held"},
    ),
    Case("GatewayProfileRefused", {'gateway_profiles_refused{job="gateway"}': since_minute_ten(0, 1)}),
    Case(
        "GatewayDestinationDown",
        {'gateway_destination_up{job="gateway",destination="archive"}': since_minute_ten(1, 0)},
        {"destination": "archive"},
        at=22,
    ),
    Case(
        "GatewayCredentialsRefused",
        {
            'gateway_destination_outage{job="gateway",destination="archive",reason="credentials"}': since_minute_ten(
                0, 1
            )
        },
        {"destination": "archive", "reason": "credentials"},
    ),
    Case(
        "GatewayDeliveriesStuck",
        {
            'gateway_deliveries_oldest_seconds{job="gateway",destination="archive",state="pending"}': since_minute_ten(
                60, 7201
            )
        },
        {"destination": "archive"},
    ),
    # The first that is ever given up, and it stays until a person has decided.
    Case(
        "GatewayDeliveriesDead",
        {'gateway_deliveries{job="gateway",destination="archive",state="dead"}': since_minute_ten(0, 1)},
        {"destination": "archive", "state": "dead"},
    ),
    Case(
        "GatewayDeliveriesDead",
        {'gateway_deliveries{job="gateway",destination="archive",state="dead"}': since_minute_ten(0, 1)},
        {"destination": "archive", "state": "dead"},
        at=60,
    ),
    Case(
        "GatewayNotificationsFail",
        {'gateway_notifier_up{job="gateway",notifier="desk"}': since_minute_ten(1, 0)},
        {"notifier": "desk"},
        at=22,
    ),
    Case(
        "GatewayDiskNearlyFull",
        {'gateway_disk_free_bytes{job="gateway",disk="spool"}': since_minute_ten(1e11, 2e9)},
        {"disk": "spool"},
        at=16,
    ),
    Case(
        "GatewayDiskFull",
        {'gateway_disk_free_bytes{job="gateway",disk="spool"}': since_minute_ten(1e11, 1e9)},
        {"disk": "spool"},
    ),
    Case(
        "GatewayLedgerDiskNearlyFull",
        {'gateway_disk_free_bytes{job="gateway",disk="ledger"}': since_minute_ten(1e11, 5e8)},
        {"disk": "ledger"},
        at=16,
    ),
    Case(
        "GatewayCertificateExpires",
        {'gateway_certificate_expiry_timestamp_seconds{job="gateway",certificate="dicom.tls"}': "1209600+0x60"},
        {"certificate": "dicom.tls"},
        at=1,
    ),
    Case(
        "GatewayCertificateExpired",
        {'gateway_certificate_expiry_timestamp_seconds{job="gateway",certificate="dicom.tls"}': "700+0x60"},
        {"certificate": "dicom.tls"},
        also=("GatewayCertificateExpires",),
    ),
]
OF_NO_JOB = {
    "GatewayProcessesDie",
    "GatewayInstancesRefused",
    "GatewayAssociationsRefused",
    "GatewayDeliveriesStuck",
}


def severity(alert: str) -> str:
    (rule,) = (rule for rule in RULES if rule["alert"] == alert)
    return str(rule["labels"]["severity"])


def firing(alert: str) -> str:
    """How many of an alert fire, as an expression."""
    return f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'


def block(case: Case | None) -> dict[str, Any]:
    """A test for promtool: in health and before the event nothing fires, after it this alert does and no other."""
    series = {**HEALTHY, **({} if case is None else case.changes)}
    fires = {} if case is None else {case.alert: case.labels, **dict.fromkeys(case.also)}
    at = 790 if case is None else case.at
    expected = [
        {
            "expr": firing(rule["alert"]),
            "eval_time": f"{at}m",
            "exp_samples": [{"labels": "{}", "value": int(rule["alert"] in fires)}],
        }
        for rule in RULES
    ]
    if case is None or (case.at > 2 and not case.also):
        # Nothing fires before anything has happened.
        expected.append({
            "expr": 'count(ALERTS{alertstate="firing"}) or vector(0)', "eval_time": "9m",
            "exp_samples": [{"labels": "{}", "value": 0}],
        })  # fmt: skip
    found: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": expected,
    }
    if case is not None:
        labels = dict(case.labels) if case.alert in OF_NO_JOB else {"job": "gateway", **case.labels}
        found["promql_expr_test"].append({
            "expr": f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}',
            "eval_time": f"{at}m",
            "exp_samples": [{
                "labels": "ALERTS" + _written(
                    {"alertname": case.alert, "alertstate": "firing", "severity": severity(case.alert), **labels}
                ),
                "value": 1,
            }],
        })  # fmt: skip
    return found


def _written(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


def run(folder: Path, blocks: list[dict[str, Any]], rules: Path = ALERTS) -> subprocess.CompletedProcess[str]:
    path = folder / "alerts.test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": blocks}))
    return subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)


def test_alerts_fire_at_the_first_event_and_health_is_silent(tmp_path: Path) -> None:
    # One program for all: what fails is named by its expression.
    done = run(tmp_path, [block(case) for case in (None, *CASES)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried() -> None:
    assert {case.alert for case in CASES} == {rule["alert"] for rule in RULES}


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "action"}


def test_the_check_finds_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    rules = tmp_path / "alerts.yml"
    rules.write_text(
        ALERTS.read_text().replace('gateway_deliveries{state="dead"} > 0', 'gateway_deliveries{state="dead"} > 1')
    )
    (case,) = (case for case in CASES if case.alert == "GatewayDeliveriesDead" and case.at == 12)
    assert run(tmp_path, [block(case)], rules).returncode == 1
