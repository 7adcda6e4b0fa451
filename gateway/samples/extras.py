"""What real objects carry besides their IOD: private blocks, graphics, signatures, deep and unusual nesting."""

from __future__ import annotations

from typing import Final

from pydicom import DataElement, Dataset

from gateway.samples.fake_identity import Identity
from gateway.samples.modules import Study, code

__all__ = [
    "add_curve",
    "add_deep_nesting",
    "add_digital_signature",
    "add_icon",
    "add_overlay",
    "add_private_block",
    "add_safe_private_block",
]

_SIDE: Final = 16
_DIGEST: Final = bytes(range(32))


def add_private_block(study: Study, dataset: Dataset) -> None:
    """Two private blocks: text, binary and nested sequences; and private elements that no creator reserves."""
    identity = study.identity
    block = dataset.private_block(0x0019, "FAKE VENDOR HEADER", create=True)
    block.add_new(0x10, "PN", study.name)
    block.add_new(0x11, "LO", identity.number("MRN"))
    block.add_new(0x12, "DA", identity.date())
    block.add_new(0x13, "UI", identity.uid())
    block.add_new(0x14, "UT", f"raw data of {identity.plain_name()}, {identity.address()}")
    block.add_new(0x15, "OB", _even(b"\x00\x01SV10" + identity.plain_name().encode("ascii") + b"\x00\xff"))
    inner = Dataset()
    inner.PatientName, inner.AccessionNumber = identity.plain_name(), identity.number("ACC")
    inner_block = inner.private_block(0x0029, "FAKE VENDOR NESTED", create=True)
    inner_block.add_new(0x01, "SH", identity.number("N"))
    outer = Dataset()
    outer_block = outer.private_block(0x0029, "FAKE VENDOR NESTED", create=True)
    outer_block.add_new(0x02, "SQ", [inner])
    block.add_new(0x16, "SQ", [outer, inner])
    second = dataset.private_block(0x0009, "FAKE VENDOR IDENT", create=True)
    second.add_new(0x01, "UN", _even(identity.number("HIDDEN").encode("ascii")))
    dataset.add(DataElement(0x00111001, "LO", identity.remark("no creator for")))


def add_safe_private_block(study: Study, dataset: Dataset) -> None:
    """Private elements that PS3.15 Table E.3.10-1 lists as safe, beside others of the same creator that are not.

    The block is not the first of its group, and a block of another creator has an element at a safe offset.
    """
    identity = study.identity
    decoy = dataset.private_block(0x0019, "FAKE VENDOR DECOY", create=True)
    decoy.add_new(0x0C, "LO", identity.number("DECOY"))
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0D, "CS", "DIRECTIONAL")
    block.add_new(0x0E, "FD", [0.0, 0.6, 0.8])
    block.add_new(0x08, "LO", identity.remark("header of"))
    block.add_new(0x0A, "LO", identity.plain_name())


def add_overlay(study: Study, dataset: Dataset) -> None:
    """An overlay plane (PS3.3 C.9.2) whose bits spell a name, and overlay comments (retired)."""
    identity = study.identity
    bits = identity.plain_name().encode("ascii").ljust(_SIDE * _SIDE // 4, b"\0")
    rows = len(bits) * 8 // _SIDE
    dataset.add(DataElement(0x60000010, "US", rows))
    dataset.add(DataElement(0x60000011, "US", _SIDE))
    dataset.add(DataElement(0x60000040, "CS", "G"))
    dataset.add(DataElement(0x60000050, "SS", [1, 1]))
    dataset.add(DataElement(0x60000100, "US", 1))
    dataset.add(DataElement(0x60000102, "US", 0))
    dataset.add(DataElement(0x60003000, "OW", _even(bits)))
    dataset.add(DataElement(0x60004000, "LT", f"drawn by {identity.plain_name()}"))


def add_curve(study: Study, dataset: Dataset) -> None:
    """A curve (group 5000, retired) with a description, a label and data that hold identity."""
    identity = study.identity
    dataset.add(DataElement(0x50000005, "US", 2))
    dataset.add(DataElement(0x50000010, "US", 2))
    dataset.add(DataElement(0x50000020, "CS", "ECG"))
    dataset.add(DataElement(0x50000022, "LO", identity.remark("curve of")))
    dataset.add(DataElement(0x50000103, "US", 0))
    dataset.add(DataElement(0x50002500, "LO", identity.plain_name()))
    dataset.add(DataElement(0x50003000, "OW", _even(identity.plain_name().encode("ascii"))))


def add_icon(study: Study, dataset: Dataset) -> None:
    """An icon image (PS3.3 C.7.6.1.1.6) whose pixels spell a name."""
    pixels = study.identity.plain_name().encode("ascii").ljust(_SIDE * _SIDE, b"\0")
    icon = Dataset()
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.Rows = icon.Columns = _SIDE
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.add_new(0x7FE00010, "OB", pixels)
    dataset.IconImageSequence = [icon]


def add_digital_signature(study: Study, dataset: Dataset) -> None:
    """Digital Signatures and MAC Parameters (PS3.3 C.12.1.1.3); the certificate names a person, nothing verifies."""
    identity = study.identity
    mac = Dataset()
    mac.MACIDNumber, mac.MACCalculationTransferSyntaxUID = 1, "1.2.840.10008.1.2.1"
    mac.MACAlgorithm, mac.DataElementsSigned = "SHA256", [0x00080018]
    dataset.MACParametersSequence = [mac]
    signature = Dataset()
    signature.MACIDNumber, signature.DigitalSignatureUID = 1, identity.uid()
    signature.DigitalSignatureDateTime, signature.CertificateType = identity.date_time(), "X509_1993_SIG"
    signature.CertificateOfSigner = _even(b"\x30\x82CN=" + identity.plain_name().encode("ascii"))
    signature.Signature = _DIGEST
    dataset.DigitalSignaturesSequence = [signature]


def add_deep_nesting(identity: Identity, dataset: Dataset) -> None:
    """Identity four items deep within sequences that Table E.1-1 does not list, among elements that stay.

    The elements are no part of the code sequence macro: a Standard Extended SOP Class carries such (PS3.4 annex B).
    """
    deepest = code("51185008", "SCT", "Chest")
    deepest.ContextGroupLocalVersion, deepest.ContextIdentifier = identity.date_time(), "4031"
    deepest.MappingResource, deepest.ContextGroupVersion = "DCMR", identity.date_time()
    deepest.PatientID, deepest.OperatorsName = identity.number("DEEP"), identity.name()
    deepest.ContentDate, deepest.StudyInstanceUID = identity.date(), identity.uid()
    deepest.InstitutionName = identity.institution()
    block = deepest.private_block(0x0043, "FAKE VENDOR DEEP", create=True)
    block.add_new(0x01, "LO", identity.number("DEEPER"))
    third = code("51185008", "SCT", "Chest")
    third.EquivalentCodeSequence = [deepest]
    second = code("24028007", "SCT", "Right")
    second.EquivalentCodeSequence = [third]
    first = code("51185008", "SCT", "Chest")
    first.AnatomicRegionModifierSequence = [second]
    dataset.AnatomicRegionSequence = [first]


def _even(content: bytes) -> bytes:
    return content + b"\0" * (len(content) % 2)
