"""The DICOM conformance statement, in the structure of PS3.2, made from what the code does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.association.command_set import Status
from gateway.association.refusal import Refusal
from gateway.deliver.dicom_node.settings import DicomNodeSettings
from gateway.deliver.dicom_node.store_status import STORE_STATUSES
from gateway.dicom.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES
from gateway.reference.settings_reference import GENERATED
from gateway.settings.configuration import Dicom
from gateway.version import __version__

_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
_VERIFICATION: Final = "1.2.840.10008.1.1"
_COMMITMENT: Final = "1.2.840.10008.1.20.1"
_MEANINGS: Final = {
    Status.SUCCESS: (
        "Success",
        "the instance and all that is known of its transfer are on stable storage; de-identification follows",
    ),
    Status.INVALID_SOP_INSTANCE: ("Failure", "the Affected SOP Instance UID is missing or no UID"),
    Status.SOP_CLASS_NOT_SUPPORTED: ("Failure", "the SOP class is not the one that was negotiated"),
    Status.UNRECOGNIZED_OPERATION: ("Failure", "another request than C-STORE or C-ECHO"),
    Status.OUT_OF_RESOURCES: (
        "Failure",
        "the disk is full or below its reserve, cannot be written, or the instance is above the size limit",
    ),
    Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS: (
        "Failure",
        "the data set has another SOP class or instance than the command says",
    ),
    Status.CANNOT_UNDERSTAND: ("Failure", "the bytes are no data set in the transfer syntax that was negotiated"),
}
_REJECTIONS: Final = {
    Refusal.PROTOCOL_VERSION: "the sender does not speak version 1 of the protocol",
    Refusal.APPLICATION_CONTEXT: "the application context is not DICOM's",
    Refusal.CALLING_AE: "no source has the calling AE title (`sources`)",
    Refusal.ADDRESS: "the title is a source's, the address is not",
    Refusal.CALLED_AE: "the source may not call the gateway by this title",
    Refusal.CERTIFICATE: "the source needs another certificate, or one at all",
    Refusal.ASSOCIATIONS: "as many associations as allowed are open, or as many as strangers may have",
    Refusal.ADDRESS_ASSOCIATIONS: "as many associations as one address may have are open",
    Refusal.SOURCE_ASSOCIATIONS: "as many associations as the source may have are open",
    Refusal.CONGESTION: "the gateway is stopping or not able to receive",
}


def conformance_statement() -> str:
    """The conformance statement as Markdown."""
    return "\n".join([*_head(), *_overview(), *_networking(), *_services(), *_media(), *_security(), *_annex()]) + "\n"


def _head() -> Iterator[str]:
    yield GENERATED
    yield "# DICOM conformance statement"
    yield ""
    yield f"deid-gateway {__version__}, in the structure of DICOM PS3.2. `gateway config conformance` prints it."
    yield ""


def _overview() -> Iterator[str]:
    yield "## 1 Overview"
    yield ""
    yield (
        "The gateway receives composite SOP Instances, stores them durably, removes what identifies the patient by a"
        " profile of rules (PS3.15 annex E), checks its own output and sends that on. It does not display, print or"
        " diagnose."
    )
    yield ""
    yield from _table(
        ("service", "user of service (SCU)", "provider of service (SCP)"),
        [
            ("Verification", "yes", "yes"),
            ("Storage (every Storage SOP class, annex A)", "yes", "yes"),
            ("Storage Commitment Push Model", "yes", "no"),
            ("Query/Retrieve, Worklist, MPPS, Print", "no", "no"),
            ("DICOMweb STOW-RS Store", "yes (user agent)", "no"),
            ("DICOMweb QIDO-RS Search", "yes (user agent), to confirm deliveries", "no"),
        ],
    )
    yield "Media interchange is not supported."
    yield ""


def _networking() -> Iterator[str]:
    dicom, node = Dicom(), DicomNodeSettings.model_fields
    yield "## 2 Networking"
    yield ""
    yield "### 2.1 Application entities"
    yield ""
    yield from _table(
        ("application entity", "does", "default AE title"),
        [
            ("RECEIVER", "accepts associations for Verification and Storage", f"`{dicom.ae_title}` (`dicom.ae_title`)"),
            (
                "SENDER",
                "initiates associations for Storage and Storage Commitment, one kind per destination",
                f"`{node['calling_ae'].default}` (`destinations.NAME.calling_ae`)",
            ),
        ],
    )
    yield "What was received goes to the SENDER after it was de-identified and verified; nothing is sent on as it came."
    yield ""
    yield "### 2.2 Association policies"
    yield ""
    yield from _table(
        ("", "RECEIVER", "SENDER"),
        [
            ("application context", f"`{_APPLICATION_CONTEXT}`", f"`{_APPLICATION_CONTEXT}`"),
            (
                "associations at the same time",
                f"{dicom.max_associations} (`dicom.max_associations`)",
                f"{node['connections'].default} to a destination (`connections`)",
            ),
            (
                "longest PDU offered",
                f"{dicom.max_pdu_bytes} bytes (`dicom.max_pdu_bytes`)",
                f"{node['max_pdu_bytes'].default} bytes (`max_pdu_bytes`)",
            ),
            ("asynchronous operations window", "not supported, one operation at a time", "not supported"),
            ("implementation class UID", f"`{IMPLEMENTATION_CLASS_UID}`", f"`{IMPLEMENTATION_CLASS_UID}`"),
            ("implementation version name", f"`{IMPLEMENTATION_VERSION_NAME}`", f"`{IMPLEMENTATION_VERSION_NAME}`"),
            ("user identity, extended negotiation", "ignored", "not sent"),
            (
                "time-outs",
                (
                    f"request for an association {dicom.association_timeout_seconds:g} s"
                    f" (`dicom.association_timeout_seconds`), within a message {dicom.network_timeout_seconds:g} s"
                    f" (`dicom.network_timeout_seconds`), between messages {dicom.idle_timeout_seconds:g} s"
                    " (`dicom.idle_timeout_seconds`)"
                ),
                "`timeout_seconds`",
            ),
        ],
    )
    yield "The RECEIVER rejects an association (A-ASSOCIATE-RJ: result, source, reason):"
    yield ""
    rejected = ((because, ", ".join(map(str, refusal.answer))) for refusal, because in _REJECTIONS.items())
    yield from _table(("because", "answer"), rejected)


def _services() -> Iterator[str]:
    yield "### 2.3 RECEIVER: Verification and Storage SCP"
    yield ""
    yield from _table(
        ("abstract syntax", "transfer syntaxes", "role", "extended negotiation"),
        [
            (f"Verification `{_VERIFICATION}`", "every transfer syntax of annex B", "SCP", "none"),
            ("every Storage SOP class of annex A", "every transfer syntax of annex B", "SCP", "none"),
            (
                "private Storage SOP classes, unless `dicom.accept_unknown_sop_classes` is false",
                "as above, and private ones",
                "SCP",
                "none",
            ),
        ],
    )
    yield (
        "Of the transfer syntaxes that a presentation context offers the first that the standard defines is accepted."
        " Storage is of level 2 (full): all attributes of the received data set are kept until de-identification."
        " The received bytes are not changed and not coerced."
    )
    yield ""
    yield "C-STORE responses:"
    yield ""
    yield from _table(
        ("status", "kind", "meaning"),
        ((f"`{status:04X}`", *_MEANINGS[status]) for status in Status),
    )
    yield (
        "The same instance sent again is accepted with Success and delivered once. An instance that the profile rejects"
        " or holds was accepted with Success; its fate is in the gateway's ledger."
    )
    yield ""
    yield "### 2.4 SENDER: Storage SCU"
    yield ""
    yield (
        "One presentation context for each SOP class and transfer syntax of the instances that wait for the node, and"
        " one with the uncompressed syntaxes where an instance can be sent in them. What the statuses of C-STORE mean:"
    )
    yield ""
    decisions = {
        "stored": "confirmed",
        "warning": "confirmed, with the status in the receipt",
        "duplicate": "confirmed, or refused (`duplicates`)",
        "retry": "tried again, after growing pauses",
        "refuse": "given up until a person decides",
    }
    yield from _table(
        ("status", "mask", "meaning", "the delivery is"),
        ((f"`{one.value:04X}`", f"`{one.mask:04X}`", one.meaning, decisions[one.decision]) for one in STORE_STATUSES),
    )
    yield "Other statuses, and associations that are refused or lost, are tried again."
    yield ""
    yield "### 2.5 SENDER: Storage Commitment SCU"
    yield ""
    yield (
        f"If configured, N-ACTION on `{_COMMITMENT}` follows C-STORE, and a delivery is confirmed by the N-EVENT-REPORT"
        " alone, on the same association or on one that the node opens to the port that the destination names."
    )
    yield ""
    yield "### 2.6 DICOMweb user agent"
    yield ""
    yield (
        'STOW-RS (PS3.18 10.5) with `multipart/related; type="application/dicom"`; the response\'s result is read per'
        " instance. QIDO-RS (PS3.18 10.6) with the new UIDs confirms deliveries if configured. HTTP/1.1, Basic or"
        " Bearer authentication."
    )
    yield ""


def _media() -> Iterator[str]:
    yield "## 3 Media interchange"
    yield ""
    yield "None."
    yield ""
    yield "## 4 Character sets"
    yield ""
    yield (
        "All character sets of PS3.3 C.12.1.1.2 are read, code extensions included. Values that stay keep their bytes."
    )
    yield ""


def _security() -> Iterator[str]:
    yield "## 5 Security"
    yield ""
    yield from _table(
        ("profile of PS3.15", "supported"),
        [
            (
                "B.12 BCP 195 RFC 8996, 9325 TLS secure transport",
                "RECEIVER (`dicom.tls`, by default on port 2762, mutual if wanted), SENDER (`destinations.NAME.tls`)",
            ),
            (
                "E Attribute confidentiality: Basic Application Level Confidentiality Profile and its options",
                "[attribute by attribute](ps3.15-coverage.md), as the profile of a project says",
            ),
            ("A.5 Audit trail", "an audit trail of its own form ([how to](../how-to/audit.md)); no syslog messages"),
        ],
    )
    yield (
        "Patient Identity Removed (0012,0062), De-identification Method (0012,0063) and its code sequence (0012,0064)"
        " tell what was done. Instances get new UIDs below `2.25` (PS3.5 B.2) unless the profile keeps them."
    )
    yield ""


def _annex() -> Iterator[str]:
    yield "## Annex A: Storage SOP classes"
    yield ""
    yield from _table(("SOP class", "UID"), ((name, f"`{uid}`") for uid, name in STORAGE_SOP_CLASSES.items()))
    yield "## Annex B: Transfer syntaxes"
    yield ""
    yield from _table(("transfer syntax", "UID"), ((one.name, f"`{uid}`") for uid, one in TRANSFER_SYNTAXES.items()))
    yield (
        "Pixel data stays in the transfer syntax in which it came, unless a rule of the profile changes pixels;"
        " big endian, deflated and irregular data sets leave as Explicit VR Little Endian. Private transfer syntaxes"
        " are accepted and held."
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
