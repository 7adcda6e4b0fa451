"""Telling people what happens: by webhook and by e-mail."""

from gateway.notify.message import Message
from gateway.notify.notifier import Notifier, NotifyFailed
from gateway.notify.notifiers import build_notifier

__all__ = ["Message", "Notifier", "NotifyFailed", "build_notifier"]
