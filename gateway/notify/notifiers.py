"""Notifiers from their settings."""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.association.tls import Tls
from gateway.custody.secret import SHORTEST, read_secret
from gateway.errors import ConfigurationError
from gateway.notify.notifier import Notifier
from gateway.notify.smtp import Mailer
from gateway.notify.webhook import Webhook
from gateway.settings.notification_settings import Notification, SmtpNotification

__all__ = ["build_notifier"]


def build_notifier(name: str, settings: Notification) -> Notifier:
    """The notifier of a name.

    Parameters
    ----------
    name
        in the configuration
    settings
        of the notification

    Raises
    ------
    ConfigurationError
        a secret or an authority cannot be read, or the secret is too short
    """
    place = f"notifications.{name}"
    if isinstance(settings, SmtpNotification):
        password = None if settings.password is None else settings.password.get_secret_value()
        if settings.password_file is not None:
            password = read_secret(settings.password_file)
        context = _context(settings.ca_file, verify=settings.verify_tls, place=place)
        return Mailer(name, settings, password=password, context=context)
    if settings.secret_file is not None:
        secret = read_secret(settings.secret_file)
    else:
        secret = "" if settings.secret is None else settings.secret.get_secret_value().strip()
    if len(secret) < SHORTEST:
        raise ConfigurationError(place=place, problem=f"the secret of a webhook has at least {SHORTEST} characters")
    context = _context(settings.ca_file, verify=settings.verify_tls, place=place)
    return Webhook(name, settings, secret=secret.encode(), context=context)


def _context(ca_file: Path | None, *, verify: bool, place: str) -> ssl.SSLContext:
    context = Tls(ca_file=ca_file, verify=verify).context(place=place)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
