"""``gateway samples`` as an administrator runs it: against a peer that cleans, one that does not, and none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, StoragePresentationContexts, evt
from rich.console import Console

from gateway.errors import ConfigurationError
from gateway.samples.command import Run, run_samples
from tests.fixtures.dcmtk import StoreScp
from tests.fixtures.ports import free_port

ALL_SYNTAXES = [
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
]  # fmt: skip


@contextmanager
def cleaner(folder: Path) -> Iterator[int]:
    """A peer that keeps of each instance what marks it; into ``forgetful`` it does not write the first: its port."""

    def store(event: evt.Event) -> int:
        original = event.dataset
        if folder.name == "forgetful" and int(original.InstanceNumber) == 1:
            return 0x0000
        kept = Dataset()
        kept.SOPClassUID, kept.SOPInstanceUID = original.SOPClassUID, f"2.25.{int(original.InstanceNumber)}"
        kept.Manufacturer, kept.InstanceNumber = original.Manufacturer, original.InstanceNumber
        kept.file_meta = FileMetaDataset()
        kept.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dcmwrite(folder / f"{kept.InstanceNumber}.dcm", kept, enforce_file_format=True)
        return 0x0000

    folder.mkdir()
    entity = AE(ae_title="GATEWAY")
    for context in StoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax or "", ALL_SYNTAXES)
    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, store)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()


def run(run: Run, environ: dict[str, str] | None = None) -> tuple[int, str]:
    output = StringIO()
    status = run_samples(run, environ=environ or {}, console=Console(file=output, width=160))
    return status, output.getvalue()


def test_everything_clean(tmp_path: Path) -> None:
    with cleaner(tmp_path / "archive") as port:
        status, output = run(Run(port=port, called_ae="GATEWAY", check=True, folder=tmp_path / "archive"))
    assert "18 of 18 instances of 6 studies accepted by GATEWAY" in output
    assert "18 of 18 instances arrived" in output
    assert status == 0


def test_one_that_does_not_arrive(tmp_path: Path) -> None:
    folder = tmp_path / "forgetful"
    with cleaner(folder) as port:
        status, output = run(
            Run(port=port, called_ae="GATEWAY", check=True, folder=folder, studies=1, timeout_seconds=0.1)
        )
    assert "7 of 8 instances arrived" in output
    assert status == 1


def test_archive_that_holds_the_originals(store_scp: StoreScp) -> None:
    status, output = run(Run(port=store_scp.port, called_ae="ARCHIVE", check=True, folder=store_scp.folder, studies=1))
    assert "8 of 8 instances arrived" in output
    assert " 0 found" not in output
    assert status == 1


def test_sending_alone(store_scp: StoreScp) -> None:
    status, output = run(Run(port=store_scp.port, called_ae="ARCHIVE", studies=3))
    assert "13 of 13 instances of 3 studies accepted" in output
    assert status == 0
    assert len(list(store_scp.folder.iterdir())) == 13


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_listens() -> None:
    status, output = run(Run(port=free_port(), called_ae="GATEWAY", studies=1))
    assert "0 of 8 instances" in output
    assert "no association" in output
    assert status == 1


def test_defaults_are_those_of_the_gateway(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with cleaner(data / "archive") as port:
        environ = {"GATEWAY_DATA": str(data), "GATEWAY_DICOM_PORT": str(port)}
        status, output = run(Run(check=True, studies=1), environ)
    assert f"accepted by GATEWAY at 127.0.0.1:{port}" in output
    assert status == 0


def test_configuration_names_the_archive(tmp_path: Path) -> None:
    with cleaner(tmp_path / "elsewhere") as port:
        configuration = tmp_path / "gateway.yaml"
        configuration.write_text(
            f"dicom: {{port: {port}, ae_title: OTHER}}\n"
            f"destinations: {{store: {{type: folder, path: {tmp_path / 'elsewhere'}}}}}\n"
            "projects: {default: {destinations: [store]}}\n"
        )
        environ = {"GATEWAY_CONFIG": str(configuration), "GATEWAY_DATA": str(tmp_path / "data")}
        status, output = run(Run(check=True, studies=1), environ)
    assert f"accepted by OTHER at 127.0.0.1:{port}" in output
    assert status == 0


def test_two_places_to_look_in_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--dicomweb"):
        run(Run(check=True, folder=tmp_path, dicomweb="http://127.0.0.1:1/dicom-web"))


def test_no_place_to_look_in_is_refused(tmp_path: Path) -> None:
    configuration = tmp_path / "gateway.yaml"
    configuration.write_text(
        "destinations: {web: {type: dicomweb, url: 'http://127.0.0.1:1/dicom-web'}}\n"
        "projects: {default: {destinations: [web]}}\n"
    )
    environ = {"GATEWAY_CONFIG": str(configuration), "GATEWAY_DATA": str(tmp_path / "data")}
    with pytest.raises(ConfigurationError, match="0 folder destinations"):
        run(Run(check=True), environ)
