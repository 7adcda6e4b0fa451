"""One output in two transfer syntaxes, into a folder and into a DICOM node, with the gateway between real peers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.pixels.utils import pixel_array

from tests.fixtures.dcmtk import dcmsend, storescp
from tests.fixtures.gateway import gateway_server
from tests.fixtures.ports import wait_until
from tests.fixtures.vouched import VOUCHED
from tests.integration.test_gateway import command
from tests.unit.pixels.stored import EXPLICIT, JPEG, JPEG_LS, encapsulated, header, native, noise, save


def test_destinations_get_the_syntax_that_they_want(tmp_path: Path) -> None:
    sent = tmp_path / "in"
    sent.mkdir()
    pixels = noise((3, 32, 40), "<u2", bits=12)
    multi = native(pixels, BitsStored=12, HighBit=11, SOPInstanceUID="1.2.276.0.7230010.3.5")
    save(sent / "multi.dcm", multi)
    colour = noise((32, 40, 3), "u1")
    stream = bytes(imagecodecs.jpeg8_encode(colour, level=90, outcolorspace="YCBCR"))
    values = {"SOPInstanceUID": "1.2.276.0.7230010.3.6", "PhotometricInterpretation": "YBR_FULL_422"}
    save(sent / "colour.dcm", encapsulated(header(colour, **values), [stream]), JPEG)
    # A film nobody decodes: refused by both destinations, sent by none.
    values = {"SOPInstanceUID": "1.2.276.0.7230010.3.7", "PhotometricInterpretation": "YBR_PARTIAL_420"}
    video = encapsulated(header(colour, **values), [b"\0\0\0\1"])
    save(sent / "video.dcm", video, "1.2.840.10008.1.2.4.102")

    with storescp(tmp_path / "scp") as peer:
        configuration = f"""{VOUCHED}
destinations:
  folder: {{type: folder, path: folder, transfer_syntax: explicit}}
  node: {{type: dicom, host: 127.0.0.1, port: {peer.port}, called_ae: ARCHIVE, transfer_syntax: jpeg-ls}}
projects:
  default: {{profile: vouched, destinations: [folder, node]}}
"""
        with gateway_server(tmp_path / "gateway", configuration=configuration) as running:
            assert dcmsend(running.dicom_port, [sent]).status == 0
            both = {"folder": 2, "node": 2}
            wait_until(lambda: running.deliveries("confirmed") == both, what="both destinations confirm")
            dead = {"folder": 1, "node": 1}
            wait_until(lambda: running.deliveries("dead") == dead, what="the film is dead at both")
            folder = [pydicom.dcmread(path) for path in sorted((tmp_path / "gateway" / "folder").rglob("*.dcm"))]
            node = [pydicom.dcmread(path) for path in sorted(peer.folder.iterdir())]
            assert {str(one.file_meta.TransferSyntaxUID) for one in folder} == {EXPLICIT}
            assert {str(one.file_meta.TransferSyntaxUID) for one in node} == {JPEG_LS}
            assert {one.SOPInstanceUID for one in folder} == {one.SOPInstanceUID for one in node}

            # What each destination got decodes to the same values, and to those that were received.
            by_uid = {str(one.SOPInstanceUID): one for one in node}
            for one in folder:
                other = by_uid[str(one.SOPInstanceUID)]
                np.testing.assert_array_equal(pixel_array(one, raw=True), pixel_array(other, raw=True))
                if "NumberOfFrames" in one:
                    np.testing.assert_array_equal(pixel_array(one, raw=True), pixels)
                else:
                    assert one.LossyImageCompression == other.LossyImageCompression == "01"

            # Receipts are of what was sent.
            export = tmp_path / "receipts.jsonl"
            assert command(running, "receipts", "export", str(export)).returncode == 0
            receipts = [json.loads(line) for line in export.read_text().splitlines()]
            digests = {one["output"]["sha256"] for one in receipts if one["destination"]["name"] == "folder"}
            files = [path.read_bytes() for path in (tmp_path / "gateway" / "folder").rglob("*.dcm")]
            assert digests == {hashlib.sha256(content).hexdigest() for content in files}
            sizes = {one["output"]["bytes"] for one in receipts if one["destination"]["name"] == "folder"}
            assert sizes == {len(content) for content in files}
            # Nothing of the work is left.
            assert list((running.data / "spool" / "work").iterdir()) == []
