"""A plan with what is remembered of the data sets that it was applied to."""

from __future__ import annotations

from gateway.deid.layout import Layouts
from gateway.deid.plan import Plan
from gateway.deid.writer import Writings
from gateway.dicom.instance import Instance

__all__ = ["Prepared"]


class Prepared:
    """A plan on its way through instances.

    Parameters
    ----------
    plan
        the rules

    Attributes
    ----------
    plan
        as given
    layouts
        what becomes of data sets of one make
    writings
        what the engine writes itself at the top level
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.layouts = Layouts(plan)
        self.writings = Writings(plan)
        self._other: Prepared | None = None

    def of(self, instance: Instance) -> Prepared:
        """What is prepared for ``instance``, which may have another plan: ``Plan.of``."""
        plan = self.plan.of(instance)
        if plan is self.plan:
            return self
        if self._other is None:
            self._other = Prepared(plan)
        return self._other
