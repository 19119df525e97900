"""What came of a candidate's trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kft.selection.averaging import Judged
from kft.selection.comparison import Comparison
from kft.strategies import Phase


@dataclass(frozen=True, eq=False)
class Trial:
    """A candidate's short run.

    Attributes:
        candidate: What was tried.
        judged: On validation, at its end.
        comparison: With the weights that it began with; None where it diverged.
    """

    candidate: Phase
    judged: Judged
    comparison: Comparison | None

    @property
    def is_promising(self) -> bool:
        """Whether it is not worse than the weights it began with, beyond chance.

        So early a rate that will win may still be behind, and surer than right: it must not have
        lost in accuracy, where there is one.
        """
        return self.comparison is not None and self.comparison.leading.high >= 0

    def describe(self, *, is_chosen: bool) -> dict[str, Any]:
        """JSON values."""
        judged = self.judged.describe() if np.isfinite(self.judged.loss) else None
        return {
            "trainable": list(self.candidate.scope.trainable),
            "learning_rate": self.candidate.fit.learning_rate,
            "validation": judged,
            "is_promising": self.is_promising,
            "is_chosen": is_chosen,
        }


def describe_candidate(candidate: Phase, among: tuple[Phase, ...]) -> str:
    """What distinguishes it from the others."""
    if len({other.scope.trainable for other in among}) > 1:
        return "block " + ", ".join(candidate.scope.trainable[:-1])
    return f"learning rate {candidate.fit.learning_rate:g}"
