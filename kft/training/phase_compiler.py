"""Compiler of the phases of a run, which reuses traced steps and graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from kft.config import TrainingConfig
from kft.features import Forward
from kft.feeding import Feed
from kft.feeding.phase_input import Parts, PhaseInput
from kft.model import Assembled
from kft.strategies import Phase
from kft.training.budget import Clock
from kft.training.compiled_phase import CompiledPhase, compile_phase
from kft.workers import ALONE, Workers


@dataclass
class PhaseCompiler:
    """Compiler of the phases of a run, one after the other.

    Attributes:
        assembled: The model, with pretrained weights at first.
        config: The pipeline's `training` section.
        feed: Feed of the phases.
        workers: All processes that run the phases.
        on_trained: Called when a phase has trained weights that it will blend with its start.
        clock: Clock of the run.
    """

    assembled: Assembled
    config: TrainingConfig
    feed: Feed
    workers: Workers = ALONE
    on_trained: Callable[[], None] = lambda: None
    clock: Clock = field(default_factory=Clock)
    # The last compiled phase, whose traced step the next phase may reuse.
    _last: CompiledPhase | None = field(default=None, init=False)
    # The parts of the whole model and its forward pass that are traced after the last phase.
    _parts: Parts | None = field(default=None, init=False)
    _answers: Forward | None = field(default=None, init=False)
    # The last solved phase, and the vectors that it was solved on.
    _vectors: tuple[Phase, np.ndarray] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # Values that L2-SP pulls to in every phase.
        self._pretrained: dict[int, np.ndarray] = {}
        if self.config.l2_sp:
            variables = self.assembled.backbone.model.variables
            self._pretrained = {id(each): np.array(each.numpy()) for each in variables}

    @property
    def answers(self) -> Forward:
        """Forward pass of the whole model, traced once for every evaluation.

        It begins with the frozen prefix that was traced for the features of the last phase, which
        that phase has not changed.
        """
        if self._answers is None:
            head = self.assembled.head
            self._answers = Forward(self.assembled.model, head.activate, parts=self._parts)
        return self._answers

    def compile(self, phase: Phase, *, num_steps: int | None = None) -> CompiledPhase:
        """Compile a phase, or its first `num_steps` steps.

        With few steps, features are stored only as far as these steps need them.

        Raises:
            ConfigError: A setting does not fit the targets.
        """
        learned_targets = self.feed.examples(phase).targets

        def make_input(phase: Phase) -> PhaseInput:
            if num_steps is not None:
                phase = replace(phase, recipe=replace(phase.fit, steps=num_steps))
            given = self.feed.for_phase(phase)
            self._parts = given.parts
            return given

        if self._last is None or not self._last.take_over(phase, make_input, learned_targets):
            # Release what the last phase holds, such as stored features, to make room.
            self._last = None
            self._last = compile_phase(
                self.assembled,
                phase,
                self.config,
                make_input,
                learned_targets=learned_targets,
                pretrained=self._pretrained,
            )
        return self._last

    def find_vectors(self, phase: Phase) -> np.ndarray:
        """Find the feature vectors (examples, features) that a head is solved on."""
        # The `trainable` flags have changed, so the traced step is no longer valid.
        self._last = None
        given = self.feed.for_solution(phase)
        self._parts, self._vectors = given.parts, (phase, given.vectors)
        return given.vectors

    def recall_vectors(self, phase: Phase) -> np.ndarray:
        """Find the vectors that the phase before was solved on, perhaps by an interrupted process.

        Traced steps and graphs stay what they are.
        """
        if self._vectors is None or self._vectors[0] != phase:
            self._vectors = phase, self.feed.for_solution(phase).vectors
        return self._vectors[1]
