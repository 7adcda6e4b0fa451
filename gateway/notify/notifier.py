"""What every way of telling people has."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import TransientError
from gateway.notify.message import Message

__all__ = ["Notifier", "NotifyFailed"]


class NotifyFailed(TransientError):
    """{notifier} could not be told: {reason}.

    Its fact ``reason_code`` is one of ``gateway.notify.message_codes.REASONS``.
    """


class Notifier(Protocol):
    """Somebody who is told."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    def send(self, message: Message) -> None:
        """Tell one message.

        Raises
        ------
        NotifyFailed
            it did not take the message, as far as is known; its text holds nothing of the peer's
        """
