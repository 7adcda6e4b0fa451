"""A webhook: the message as JSON, signed so that its receiver knows who sent it and when.

The signature is HMAC-SHA-256, in hexadecimal, of the timestamp, a full stop, and the body as it was sent. A receiver
refuses what is older than a few minutes, and what it has seen by its id.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Callable
from typing import Final

from gateway.errors import DeliveryFailed
from gateway.notify.message import Message
from gateway.notify.notifier import NotifyFailed
from gateway.settings.notification_settings import WebhookNotification
from gateway.version import USER_AGENT
from gateway.web.calls import Calls, ascii_url
from gateway.web.endpoint import Endpoint

__all__ = ["Webhook", "signature"]

_BUSY: Final = frozenset({429, 503})
_UNAUTHORISED: Final = frozenset({401, 403, 407})


class Webhook:
    """Posts messages to one URL.

    Parameters
    ----------
    name
        in the configuration
    settings
        of the notification
    secret
        of the signature
    context
        of TLS
    clock
        seconds since 1970

    Raises
    ------
    ConfigurationError
        the URL cannot be used
    """

    def __init__(
        self,
        name: str,
        settings: WebhookNotification,
        *,
        secret: bytes,
        context: ssl.SSLContext,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name: Final = name
        self._settings = settings
        self._endpoint = Endpoint.parse(ascii_url(settings.url), place=f"notifications.{name}")
        self._context = context if self._endpoint.secure else None
        self._secret = secret
        self._clock = clock

    def send(self, message: Message) -> None:
        """Tell one message; an answer of 2xx has taken it.

        Raises
        ------
        NotifyFailed
            there was no such answer
        """
        body = message.encoded()
        moment = f"{self._clock():.0f}"
        settings = self._settings
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "X-Gateway-Id": message.id.encode("ascii", "replace").decode("ascii"),
            "X-Gateway-Timestamp": moment,
            "X-Gateway-Signature": f"sha256={signature(self._secret, moment, body)}",
        }
        # Of its answer nothing is needed but the status.
        calls = Calls(
            self._endpoint,
            destination=self.name,
            timeout=settings.timeout_seconds,
            context=self._context,
            answer_limit=0,
        )
        try:
            status = calls.call("POST", self._endpoint.path or "/", headers, body).status
        except DeliveryFailed as error:
            raise self._unanswered(str(error.facts["code"])) from None
        finally:
            calls.close()
        self._judge(status)

    def _unanswered(self, code: str) -> NotifyFailed:
        if code == "tls":
            return self._failed("tls", "its certificate is not accepted, or TLS failed")
        if code == "timeout":
            return self._failed("timeout", f"no answer within {self._settings.timeout_seconds:g} s")
        if code == "answer-unreadable":
            return self._failed("protocol", "what it answers is not HTTP")
        return self._failed("unreachable", "there is no connection")

    def _judge(self, status: int) -> None:
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise self._failed("redirect", f"status {status}: redirects are not followed: set the final address as url")
        if status in _UNAUTHORISED:
            raise self._failed("credentials", f"status {status}: it does not accept the signature")
        if status in _BUSY:
            raise self._failed("busy", f"status {status}: it asks to be left alone for a while")
        raise self._failed("refused", f"status {status}")

    def _failed(self, code: str, reason: str) -> NotifyFailed:
        return NotifyFailed(notifier=self.name, reason=reason, reason_code=code)


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """The signature of a body that was sent at ``timestamp``, in hexadecimal."""
    return hmac.new(secret, timestamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()
