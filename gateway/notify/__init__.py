"""Telling people what happens: by webhook and by e-mail."""

from gateway.notify.base import Notifier, NotifyFailed
from gateway.notify.build import build_notifier
from gateway.notify.message import Message

__all__ = ["Message", "Notifier", "NotifyFailed", "build_notifier"]
