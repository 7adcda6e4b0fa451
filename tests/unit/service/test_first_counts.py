"""Everything that may be counted begins at zero."""

from __future__ import annotations

import re
from pathlib import Path

import gateway.console
from gateway.console.protection import HTTP_REFUSED
from gateway.console.serving import begin_counting_refusals
from gateway.metrics import METERS, Metrics
from gateway.service.first_counts import begin_counting
from gateway.service.projects import activate_profiles
from gateway.settings.configuration import load_settings

#: Of these no process counts by a name of the configuration.
WITHOUT_NAMES = {"gateway_queue_wait_seconds"}


def test_every_counter_begins_at_zero_for_the_configured_names(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        'profile: own\nuse: [basic]\naccept:\n  - reject: Modality == "SR"\n    because: no images\n'
    )
    (tmp_path / "gateway.yaml").write_text("""
sources: {pacs: {calling_ae: PACS}, ward: {calling_ae: WARD}}
destinations: {archive: {type: folder, path: archive}, other: {type: folder, path: other}}
projects: {chest: {profile: own, destinations: [archive, other]}}
profiles: [.]
""")
    settings = load_settings(tmp_path / "gateway.yaml", {"GATEWAY_DATA": str(tmp_path / "data")})
    metrics = Metrics()
    begin_counting(metrics, settings, activate_profiles(settings, {}))
    begin_counting_refusals(metrics)
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    assert {sample.value for sample in samples if not sample.name.endswith("_created")} == {0}
    begun = {sample.name: set[tuple[str, ...]]() for sample in samples}
    for sample in samples:
        begun[sample.name].add(tuple(value for name, value in sample.labels.items() if name != "le"))
    for meter in METERS:
        if meter.kind != "gauge" and meter.labels and not meter.name.startswith("gateway_notifications"):
            assert begun.get(f"{meter.name}_count" if meter.buckets else meter.name), meter.name
    assert begun["gateway_instances_received_total"] == {("pacs",), ("ward",)}
    assert ("chest", "own:4") in begun["gateway_instances_rejected_total"]
    assert ("chest", "duplicate") in begun["gateway_instances_rejected_total"]
    assert ("chest", "leak-suspected") in begun["gateway_instances_held_total"]
    assert ("ward", "ledger-full") in begun["gateway_instances_refused_total"]
    assert ("other", "credentials") in begun["gateway_deliveries_dead_total"]
    assert ("other", "credentials") in begun["gateway_destination_outage"]


def test_the_codes_of_refused_http_clients_are_those_in_the_source() -> None:
    source = "".join(path.read_text() for path in Path(gateway.console.__file__).parent.glob("*.py"))
    written = set(re.findall(r'\.refuse\(\s*"([a-z-]+)"', source))
    assert written
    assert written - HTTP_REFUSED == set()
