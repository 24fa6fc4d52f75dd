"""An intake whose deliveries wait until the queue was told of their incidents, for tests that look at that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from triagebook.intake.receive import Intake

if TYPE_CHECKING:
    from triagebook.intake.receive import Receipt


class PatientIntake(Intake):
    def accept(self, *args: Any, **kwargs: Any) -> Receipt:
        receipt = super().accept(*args, **kwargs)
        assert self.wait_told()
        return receipt

    def take(self, *args: Any, **kwargs: Any) -> Receipt:
        receipt = super().take(*args, **kwargs)
        assert self.wait_told()
        return receipt

    def replay_stored(self) -> list[str]:
        done = super().replay_stored()
        assert self.wait_told()
        return done
