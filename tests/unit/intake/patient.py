"""An intake whose deliveries wait until the queue was told of their incidents, for tests that look at that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from triagebook.intake.receive import Intake

if TYPE_CHECKING:
    from triagebook.incidents.deliveries import Waiting
    from triagebook.intake.receive import Receipt
    from triagebook.intake.sender import Delivery, Sender


class PatientIntake(Intake):
    def _keep(
        self, sender: str, plugin: Sender, posted: Delivery, waiting: Waiting | None = None
    ) -> Receipt:
        receipt = super()._keep(sender, plugin, posted, waiting)
        assert self.wait_told()
        return receipt

    def replay_stored(self) -> list[str]:
        done = super().replay_stored()
        assert self.wait_told()
        return done
