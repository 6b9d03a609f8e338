"""What every model says that is evaluated as it is: nothing is trained that a control could leave out."""

from __future__ import annotations

from baselines.load_options import SettlesLoading
from harness.cell import ModelOptions
from harness.errors import UsageError
from harness.protocols import Model, Prerequisite


class AsItIs(SettlesLoading):
    """The answers of such a model about controls and other networks; each class adds its checkpoint."""

    evaluates_only = True

    def controls_for(self, answers: str) -> tuple[str, ...]:
        """Offer none."""
        return ()

    def with_control(self, control: str) -> Model:
        """Refuse: nothing is trained here that a control could leave out."""
        raise UsageError(f"Model '{self.name}' is evaluated as it is and has no control '{control}'.")

    def prerequisite(self, options: ModelOptions) -> Prerequisite | None:
        """Need no other network."""
        return None
