"""The processes that move instances from state to state, and their supervisor."""

from gateway.pipeline.supervisor import Supervisor

__all__ = ["Supervisor"]
