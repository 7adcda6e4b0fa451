"""Promises P3, P4 and P6 on the way to XNAT: several of its troubles at once, from a sender to the last confirmation.

Studies of two modalities come in pieces, the disk of the server is full for a while, and its proxy gives up while XNAT
goes on: everything arrives by itself, once, in the session of its study.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from gateway.ledger import DeliveryState
from gateway.settings.configuration import load_settings
from gateway.treatment.resources import open_ledger
from tests.fixtures.commands import gateway_command
from tests.fixtures.dcmtk import storescu
from tests.fixtures.gateway import gateway_server
from tests.fixtures.ports import wait_until
from tests.fixtures.xnat import xnat_server
from tests.fixtures.xnat.petct import faults_of, pet_ct

STUDIES = 3
CT, PT = 26, 4
DISK_FULL_SECONDS = 6.0
ENVIRON = {"XNAT_PASSWORD": "s3cret"}
CONFIGURATION = """
destinations:
  xnat:
    type: xnat
    url: '{url}'
    project: CHEST
    auth: {{type: basic, username: gateway, password: '${{XNAT_PASSWORD}}'}}
    max_instances: 10
    ask_seconds: 0.5
    gather_seconds: 3
projects: {{chest: {{destinations: [xnat]}}}}
retry: {{first_seconds: 0.2, longest_seconds: 2}}
"""


def test_three_troubles_at_once(tmp_path: Path) -> None:
    with xnat_server(tmp_path / "xnat") as double:
        double.behind_seconds = 2.0
        double.faults.set("proxy", times=2)
        double.faults.set("proxy-archiving", times=1)
        studies = [pet_ct(tmp_path / "in", number, ct=CT, pt=PT) for number in range(STUDIES)]
        configuration = CONFIGURATION.format(url=double.url)
        with gateway_server(tmp_path / "gateway", configuration=configuration, environ=ENVIRON) as gateway:
            for ct, _ in studies:
                assert storescu(gateway.dicom_port, [ct], options=["+sd", "+r"]).status == 0
            # As soon as XNAT has begun with the first part.
            wait_until(lambda: bool(double.made("POST", "/data/services/import")), what="the first import")
            double.store.disk_full = True
            full = threading.Timer(DISK_FULL_SECONDS, lambda: setattr(double.store, "disk_full", False))
            for _, pt in studies:
                assert storescu(gateway.dicom_port, [pt], options=["+sd", "+r"]).status == 0
            ledger = open_ledger(load_settings(tmp_path / "gateway" / "gateway.yaml", gateway.environ | ENVIRON))
            total = STUDIES * (CT + PT)
            try:
                # What comes after a session is archived waits for a person: the disk is full until all is treated.
                wait_until(lambda: len(ledger.deliveries.entries(limit=1000)) == total, what="all is treated")
                full.start()
                wait_until(
                    lambda: ledger.figures.status().delivery_count(DeliveryState.CONFIRMED) == total,
                    what="everything is confirmed",
                    seconds=240,
                )
                found = ledger.deliveries.entries(limit=1000)
            finally:
                if full.ident is not None:
                    full.join()
                ledger.close()
            assert {(one.state, one.code) for one in found} == {(DeliveryState.CONFIRMED, "archived")}
            configured = ENVIRON | {"GATEWAY_CONFIG": str(tmp_path / "gateway" / "gateway.yaml")}
            assert gateway_command("account", environ=gateway.environ | configured).returncode == 0
        assert faults_of(double, studies=STUDIES, instances=CT + PT) == []


def test_what_comes_while_a_batch_is_on_its_way_is_gathered(tmp_path: Path) -> None:
    """Without completeness: CT first, PT a moment later, and still one archive."""
    with xnat_server(tmp_path / "xnat") as double:
        ct, pt = pet_ct(tmp_path / "in", 1, ct=5, pt=2)
        configuration = CONFIGURATION.format(url=double.url)
        with gateway_server(tmp_path / "gateway", configuration=configuration, environ=ENVIRON) as gateway:
            assert storescu(gateway.dicom_port, [ct], options=["+sd", "+r"]).status == 0
            wait_until(lambda: bool(double.made("POST", "/data/services/import")), what="the first import")
            time.sleep(0.5)
            assert storescu(gateway.dicom_port, [pt], options=["+sd", "+r"]).status == 0
            wait_until(lambda: gateway.deliveries("confirmed") == {"xnat": 7}, what="everything is confirmed")
        assert faults_of(double, studies=1, instances=7) == []
