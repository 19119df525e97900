"""Compiles the phases of a run, and keeps what was traced for those that follow."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from kft.config import TrainingConfig
from kft.features import Forward
from kft.feeding import Feed
from kft.feeding.phase_input import Parts, PhaseInput
from kft.model import Assembled
from kft.strategies import Phase
from kft.training.compiled_phase import CompiledPhase, compile_phase
from kft.workers import ALONE, Workers


@dataclass
class PhaseCompiler:
    """Makes the phases of a run ready, one after the other.

    Attributes:
        assembled: The model, as yet with its pretrained weights; they change.
        config: The pipeline's `training` section.
        feed: Of the phases.
        workers: All processes that run them.
    """

    assembled: Assembled
    config: TrainingConfig
    feed: Feed
    workers: Workers = ALONE
    # What was compiled last: its traced step may serve the next phase.
    _last: CompiledPhase | None = field(default=None, init=False)
    # The whole model after the last phase, as far as it is traced.
    _parts: Parts | None = field(default=None, init=False)
    _answers: Forward | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # What L2-SP holds to, in every phase.
        self._pretrained: dict[int, np.ndarray] = {}
        if self.config.l2_sp:
            variables = self.assembled.backbone.model.variables
            self._pretrained = {id(each): np.array(each.numpy()) for each in variables}

    @property
    def answers(self) -> Forward:
        """The forward pass of the whole model, traced once for all that judge it.

        It begins with the frozen prefix that was traced for the features of the last phase, which
        that phase has left as it was.
        """
        if self._answers is None:
            head = self.assembled.head
            self._answers = Forward(self.assembled.model, head.activate, parts=self._parts)
        return self._answers

    def compile(self, phase: Phase, *, num_steps: int | None = None) -> CompiledPhase:
        """A phase that is ready to be fitted, or `num_steps` steps of it.

        For a few steps no more views are stored than these see.

        Raises:
            ConfigError: A setting does not fit the targets.
        """
        learnt_targets = self.feed.examples(phase).targets

        def make_input(phase: Phase) -> PhaseInput:
            if num_steps is not None:
                phase = replace(phase, recipe=replace(phase.fit, steps=num_steps))
            given = self.feed.for_phase(phase)
            self._parts = given.parts
            return given

        if self._last is None or not self._last.take_over(phase, make_input, learnt_targets):
            # What it holds, such as stored features, may have to make room first.
            self._last = None
            self._last = compile_phase(
                self.assembled,
                phase,
                self.config,
                make_input,
                learnt_targets=learnt_targets,
                pretrained=self._pretrained,
            )
        return self._last

    def find_vectors(self, phase: Phase) -> np.ndarray:
        """Feature vectors (examples, features) that a head is solved on."""
        # Other flags are set than those that the step was traced with.
        self._last = None
        given = self.feed.for_solution(phase)
        self._parts = given.parts
        return given.vectors
