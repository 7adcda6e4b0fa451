"""E-mail: the message as plain text, handed to a mail server (RFC 5321) over TLS."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Final

import structlog

from gateway.notify.message import Message
from gateway.notify.notifier import NotifyFailed
from gateway.settings.notification_settings import SmtpNotification

__all__ = ["Mailer"]

log = structlog.get_logger(__name__)


class Mailer:
    """Sends messages to the recipients of one notification.

    Parameters
    ----------
    name
        in the configuration
    settings
        of the notification
    password
        of its user; None for no login
    context
        of TLS
    """

    def __init__(self, name: str, settings: SmtpNotification, *, password: str | None, context: ssl.SSLContext) -> None:
        self.name: Final = name
        self._settings = settings
        self._password = password
        self._context = context

    def send(self, message: Message) -> None:
        """Tell one message; it is taken if the server takes it for one recipient at least.

        Raises
        ------
        NotifyFailed
            the server did not take it
        """
        mail = self._mail(message)
        with self._failing(), self._connected() as server:
            if self._settings.username is not None and self._password is not None:
                server.login(self._settings.username, self._password)
            refused = server.send_message(mail, self._settings.sender, list(self._settings.to))
        if refused:
            # The others have it: sent again they would get it twice.
            log.warning("recipients refused", name=self.name, count=len(refused))

    def _mail(self, message: Message) -> EmailMessage:
        settings = self._settings
        mail = EmailMessage(policy=SMTP_POLICY)
        project = f" ({message.project})" if message.project else ""
        mail["Subject"] = f"[gateway] {message.event}{project}: {message.text}"[:200]
        mail["From"] = settings.sender
        mail["To"] = ", ".join(settings.to)
        mail["Date"] = format_datetime(datetime.now(UTC))
        # The same when it is sent again, so that mail programs show it once.
        domain = settings.sender.partition("@")[2]
        mail["Message-ID"] = f"<{hashlib.sha256(message.id.encode()).hexdigest()[:32]}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        lines = [message.text, "", message.action]
        for title, key in (("Instances", "instances"), ("Studies", "studies"), ("Patients", "patients")):
            if names := message.body.get(key):
                lines += ["", f"{title}: {', '.join(map(str, names))}"]
        mail.set_content("\n".join(lines) + "\n")
        return mail

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        settings = self._settings
        port, timeout = settings.the_port, settings.timeout_seconds
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, port, timeout=timeout, context=self._context)
        else:
            server = smtplib.SMTP(settings.host, port, timeout=timeout)
        with server:
            if settings.security == "starttls":
                server.starttls(context=self._context)
            yield server

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Failures in our own words: a server's answer may hold anything."""
        try:
            yield
        except smtplib.SMTPAuthenticationError as error:
            raise self._failed("credentials", f"answer {error.smtp_code}: it refuses user or password") from None
        except smtplib.SMTPNotSupportedError:
            raise self._failed("no-encryption", "it does not offer STARTTLS, or no way to log in") from None
        except smtplib.SMTPRecipientsRefused:
            raise self._failed("refused", "it refuses every recipient") from None
        except smtplib.SMTPResponseException as error:
            if not 400 <= error.smtp_code < 600:
                raise self._failed("protocol", "what it answers is not SMTP") from None
            code = "busy" if error.smtp_code < 500 else "refused"
            raise self._failed(code, f"answer {error.smtp_code}") from None
        except smtplib.SMTPServerDisconnected as error:
            # It stands for every failure to read.
            if isinstance(error.__context__, TimeoutError):
                raise self._failed("timeout", self._patience) from None
            raise self._failed("protocol", "it closed the connection, or what it answers is not SMTP") from None
        except smtplib.SMTPException as error:
            raise self._failed("protocol", type(error).__name__) from None
        except ssl.SSLError:
            raise self._failed("tls", "its certificate is not accepted, or TLS failed") from None
        except TimeoutError:
            raise self._failed("timeout", self._patience) from None
        except OSError:
            raise self._failed("unreachable", "there is no connection") from None

    @property
    def _patience(self) -> str:
        return f"no answer within {self._settings.timeout_seconds:g} s"

    def _failed(self, code: str, reason: str) -> NotifyFailed:
        return NotifyFailed(notifier=self.name, reason=reason, reason_code=code)
