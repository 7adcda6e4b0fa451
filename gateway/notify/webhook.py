"""A webhook: the message as JSON, signed so that its receiver knows who sent it and when.

The signature is HMAC-SHA-256, in hexadecimal, of the timestamp, a full stop, and the body as it was sent. A receiver
refuses what is older than a few minutes, and what it has seen by its id.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Final

import requests

from gateway.notify.base import NotifyFailed
from gateway.notify.message import Message
from gateway.settings.notification_settings import WebhookNotification
from gateway.version import __version__

__all__ = ["Webhook", "signature"]

_BUSY: Final = frozenset({429, 503})
_UNAUTHORISED: Final = frozenset({401, 403, 407})


class Webhook:
    """Posts messages to one URL.

    Parameters
    ----------
    name: in the configuration
    settings: of the notification
    secret: of the signature
    clock: seconds since 1970
    """

    def __init__(
        self, name: str, settings: WebhookNotification, *, secret: bytes, clock: Callable[[], float] = time.time
    ) -> None:
        self.name: Final = name
        self._settings = settings
        self._secret = secret
        self._clock = clock

    def send(self, message: Message) -> None:
        """Tell one message; an answer of 2xx has taken it.

        Raises
        ------
        NotifyFailed: there was no such answer
        """
        body = message.encoded()
        moment = f"{self._clock():.0f}"
        settings = self._settings
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"deid-gateway/{__version__}",
            "X-Gateway-Id": message.id.encode("ascii", "replace").decode("ascii"),
            "X-Gateway-Timestamp": moment,
            "X-Gateway-Signature": f"sha256={signature(self._secret, moment, body)}",
        }
        verify = str(settings.ca_file) if settings.ca_file is not None and settings.verify_tls else settings.verify_tls
        try:
            with requests.Session() as session:
                # No proxies, credentials or authorities from the environment: only what is configured.
                session.trust_env = False
                answer = session.post(
                    settings.url,
                    data=body,
                    headers=headers,
                    timeout=settings.timeout_seconds,
                    allow_redirects=False,
                    verify=verify,
                    stream=True,
                )
                # Its body is not read: nothing of it is needed, and it may be endless.
                answer.close()
        except requests.exceptions.SSLError:
            raise self._failed("tls", "its certificate is not accepted, or TLS failed") from None
        except requests.exceptions.Timeout:
            raise self._failed("timeout", f"no answer within {settings.timeout_seconds:g} s") from None
        except requests.exceptions.ConnectionError:
            raise self._failed("unreachable", "there is no connection") from None
        except (requests.exceptions.RequestException, OSError) as error:
            raise self._failed("protocol", type(error).__name__) from None
        self._judge(answer.status_code)

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
