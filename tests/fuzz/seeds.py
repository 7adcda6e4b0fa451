"""Writes the first seeds of every target: ``python -m tests.fuzz.seeds``. What fuzzing added to them stays."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from gateway.association.pdu import acceptance, parse_request
from gateway.deliver.dicom_node.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from gateway.profile import shipped_profiles
from gateway.receive.contexts import negotiate
from gateway.spool.output import write_parts
from tests.fuzz.run import CORPUS
from tests.fuzz.targets import TARGETS
from tests.integration.raw_peer import (
    ABORT,
    CT,
    EXPLICIT,
    IMPLICIT,
    RELEASE_RQ,
    VERIFICATION,
    associate_rq,
    command,
    data_set,
    message,
    store_elements,
    ui,
    us,
)

_CONTEXTS = {
    "verification": [(VERIFICATION, [IMPLICIT])],
    "images": [(CT, [EXPLICIT, IMPLICIT]), (CT, ["1.2.840.10008.1.2.4.70"])],
    "unknown": [("1.2.826.0.1.3680043.9.1", ["1.2.826.0.1.3680043.9.2"]), ("1.2.840.10008.5.1.4.1.2.2.1", [IMPLICIT])],
}
_ECHO = command({0x0002: ui(VERIFICATION), 0x0100: us(0x30), 0x0110: us(9), 0x0800: us(0x0101)})
_REPORT = command(
    {0x0002: ui(PUSH_MODEL), 0x0100: us(0x100), 0x0110: us(1), 0x0800: us(1), 0x1000: ui(PUSH_MODEL_INSTANCE),
     0x1002: us(2)}
)  # fmt: skip
_REPORTED = struct.pack("<HHI", 8, 0x1195, 6) + b"2.25.1" + struct.pack("<HHI", 8, 0x1199, 0xFFFFFFFF) + (
    struct.pack("<HHI", 0xFFFE, 0xE000, 14) + struct.pack("<HHI", 8, 0x1155, 6) + b"2.25.2"
    + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
)  # fmt: skip
_SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
}
_CONFIGURATIONS = {
    "small": "data: here\ndicom: {port: 0}\n",
    "whole": """data: here
dicom: {ae_title: GATEWAY, port: 11112, max_associations: 4}
sources: {pacs: {calling_ae: [PACS], addresses: [10.0.0.0/8]}}
destinations:
  archive: {type: folder, path: archive}
  web: {type: dicomweb, url: "https://archive.example/dicom-web", auth: {type: bearer, token: "${STUDY_KEY}"}}
projects: {chest: {profile: basic, secret: "${STUDY_KEY}", destinations: [archive, web]}}
routes: [{project: chest, when: "Modality in ['CR', 'DX']"}]
""",
    "anchors": "projects: &all {a: {destinations: []}}\nroutes: *all\n<<: *all\n",
}
_PROFILE = """profile: fuzzed
use: [basic, retain-longitudinal-modified-dates, clean-descriptors]
identity: {patient: {pseudonym: keyed, format: "A-{base32:10}"}}
dates: {shift: per-patient, days: -730..-1}
accept:
  - reject: Modality in ["SR"]
    because: no images
attributes:
  - keep: [StudyDescription, "(0019,xx10) ACME 1.1", "VR:UT", "*/CodeMeaning"]
    when: present("PatientID") && Rows > 10
    because: decided
  - generalise: {PatientAge: {bins: 5Y, top: 090Y}}
  - regex: {StudyID: {pattern: "a(b+)c", replacement: '\\\\1', otherwise: remove}}
pixels:
  - mask: [[0, 0, 1024, 60]]
    when: Rows == 768
tests:
  - given: {PatientName: "GARCIA^MARIA"}
    expect: {PatientName: "{patient}"}
    never: [GARCIA]
"""
_ANSWERS = {
    "json": b'{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["2.25.1"]},'
    b'"00081196":{"vr":"US","Value":[1]}}]},"00081198":{"vr":"SQ","Value":[{"00081155":{"Value":["2.25.2"]},'
    b'"00081197":{"Value":[43264]}}]}}',
    "list": b'[{"00081199":{"vr":"SQ","Value":[]}},{}]',
    "xml": b'<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"><DicomAttribute tag="00081199" '
    b'vr="SQ"><Item number="1"><DicomAttribute tag="00081155" vr="UI"><Value number="1">2.25.1</Value>'
    b"</DicomAttribute></Item></DicomAttribute></NativeDicomModel>",
    "entities": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
}
_REQUESTS = {
    "health": b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "ready": b"HEAD /readyz?x=1 HTTP/1.0\r\n\r\n",
    "metrics": b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer abc\r\n\r\n",
    "basic": b"GET /api/status HTTP/1.1\r\nAuthorization: Basic YTpi\r\nConnection: close\r\n\r\n",
    "post": b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nx",
    "old": b"GET /\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


def instances() -> Iterator[tuple[str, bytes]]:
    """A data set in several transfer syntaxes, with what makes data sets difficult."""
    for name, syntax in _SYNTAXES.items():
        made = Dataset()
        made.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        made.SOPClassUID = CT
        made.SOPInstanceUID = "1.2.3.4"
        made.StudyDate = "20240101"
        made.PatientName = "GARCIA^MARIA"
        made.PatientID = "4711"
        made.StudyInstanceUID = "1.2.3"
        made.SeriesInstanceUID = "1.2.3.1"
        inner = Dataset()
        inner.CodeValue = "T-1"
        inner.CodingSchemeDesignator = "DCM"
        inner.CodeMeaning = "GARCIA"
        made.ProcedureCodeSequence = Sequence([inner])
        if name in ("explicit", "implicit"):
            made["ProcedureCodeSequence"].is_undefined_length = True
        made.add_new((0x0019, 0x0010), "LO", "ACME 1.1")
        made.add_new((0x0019, 0x1010), "UN", b"\xfe\xff\x00\xe0\x00\x00\x00\x00")
        made.Rows = made.Columns = 2
        made.BitsAllocated = made.BitsStored = 8
        made.HighBit = 7
        made.PixelRepresentation = 0
        made.SamplesPerPixel = 1
        made.PhotometricInterpretation = "MONOCHROME2"
        made.PixelData = np.arange(4, dtype="u1").tobytes()
        made["PixelData"].VR = "OB" if name == "rle" else "OW"
        if name == "rle":
            made.PixelData = encapsulate([struct.pack("<16I", 1, 64, *[0] * 14) + b"\x03\x00\x01\x02\x03\x00"])
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = syntax
        file = io.BytesIO()
        made.save_as(file, enforce_file_format=True)
        yield name, file.getvalue()


def seeds() -> Iterator[tuple[str, str, bytes]]:
    """Target, name and content of every seed."""
    for name, data in instances():
        yield "instance", name, data
        body = data[data.index(b"\x08\x00\x05\x00") :] if b"\x08\x00\x05\x00" in data else data[330:]
        yield "walker", name, body
        for pieces in (16, 4000):
            yield "transfer", f"{name}-{pieces}", message(command(store_elements()), body, size=pieces) + RELEASE_RQ
    yield "transfer", "good", message(command(store_elements()), data_set(pixels=b"")) * 2 + RELEASE_RQ
    yield "transfer", "echo", message(_ECHO, context=3) + ABORT
    deflate = zlib.compressobj(wbits=-15)
    deflated = deflate.compress(data_set()) + deflate.flush()
    unknown = command(store_elements("1.2.826.0.1.3680043.9.1"))
    yield "transfer", "deflated", message(unknown, deflated, context=7) + RELEASE_RQ
    for name, contexts in _CONTEXTS.items():
        yield "association", name, associate_rq(contexts)[6:]
    for name, contexts in _CONTEXTS.items():
        asked = parse_request(associate_rq(contexts)[6:])
        yield "acceptance", name, acceptance(asked, negotiate(asked.contexts, accept_unknown=True), max_pdu_bytes=0)[6:]
    yield "report", "implicit", message(_REPORT, _REPORTED)
    yield "report", "explicit", message(_REPORT, _REPORTED, context=3) + RELEASE_RQ
    yield "command", "store", command(store_elements())
    yield "command", "echo", _ECHO
    yield "profile", "whole", _PROFILE.encode()
    for path in sorted(shipped_profiles().glob("retain-*.yaml")):
        yield "profile", path.stem, path.read_bytes()[:1500]
    for name, text in _CONFIGURATIONS.items():
        yield "configuration", name, text.encode()
    for name, data in _ANSWERS.items():
        yield "answer", name, data
    for name, data in _REQUESTS.items():
        yield "request", name, data


def main() -> None:
    """Write the seeds."""
    for target in TARGETS:
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
    for target, name, data in seeds():
        (CORPUS / target / name).write_bytes(data)
    with (CORPUS / "output" / "ranges").open("wb", buffering=0) as output:
        write_parts(output, [b"header"], stored=CORPUS / "original", available=1000)


if __name__ == "__main__":
    main()
