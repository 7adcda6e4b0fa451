"""What the process imports, once, from which the gateway's children are forked: all code that they need.

It is a fork of the supervisor, or an interpreter of its own with the gateway's environment, whose memory is private
before anything else is loaded. It ends with the last of those who can ask it for a child, and not when a service
manager or a terminal tells every process of the gateway to end: with it the supervisor would lose sight of children
that are still at work, and take them for dead.
"""

from gateway.privacy import make_private
from gateway.service.group_signals import hold_group_signals

hold_group_signals()
make_private()

from gateway.service import supervisor  # noqa: E402, F401  (with all that it imports)
