"""The doors: instances come in, are made durable, and only then acknowledged (promise P1)."""

from gateway.association.refusal import Refusal
from gateway.receive.access import AccessRules, CertificateRule, Source
from gateway.receive.observer import NullObserver, ReceiveObserver
from gateway.receive.server import Receiver, ReceiverSettings
from gateway.receive.store import received_of

__all__ = [
    "AccessRules",
    "CertificateRule",
    "NullObserver",
    "ReceiveObserver",
    "Receiver",
    "ReceiverSettings",
    "Refusal",
    "Source",
    "received_of",
]
