"""What the process imports, once, from which the gateway's children are forked: all code that they need.

It is an interpreter of its own, with the gateway's environment; its memory is private before anything else is loaded.
"""

from gateway.privacy import make_private
from gateway.service import supervisor  # noqa: F401  (with all that it imports)

make_private()
