"""Strategies as functions: settings -> the phases they stand for."""

from __future__ import annotations

from dataclasses import dataclass

from kft.config import StrategyConfig
from kft.errors import ConfigError
from kft.strategies.phases import Phase, resolve_duration
from kft.strategies.selection import resolve_blocks


@dataclass(frozen=True)
class Setting:
    """What a strategy may look at.

    Attributes:
        config: The pipeline's `strategy` section.
        backbone: Its name, for messages.
        block_names: Of the block table, shallow to deep; the head is last.
        augmentation: Preset for phases that compute the backbone anew.
        is_pretrained: Whether the backbone's batch statistics are worth keeping.
        num_examples: In the training split.
        steps_per_epoch: Steps that see every training example once.
    """

    config: StrategyConfig
    backbone: str
    block_names: tuple[str, ...]
    augmentation: str
    is_pretrained: bool
    num_examples: int
    steps_per_epoch: int

    def steps(self, duration: str | float, where: str) -> int:
        """A duration in steps."""
        return resolve_duration(
            duration,
            num_examples=self.num_examples,
            steps_per_epoch=self.steps_per_epoch,
            where=where,
        )

    def blocks(self, names: tuple[str, ...], where: str) -> tuple[str, ...]:
        """Block names as a user wrote them, spelt out."""
        return resolve_blocks(names, self.block_names, where=where, backbone=self.backbone)


def linear_probe(setting: Setting) -> tuple[Phase, ...]:
    """The head alone, on features of the frozen backbone that are computed once."""
    config = setting.config
    return (
        Phase(
            name="linear_probe",
            trainable=setting.block_names[-1:],
            learning_rate=config.probe_learning_rate,
            steps=setting.steps(config.probe_duration, "strategy.probe_duration"),
            steps_per_epoch=setting.steps_per_epoch,
        ),
    )


def full(setting: Setting) -> tuple[Phase, ...]:
    """Every block at once."""
    config = setting.config
    by_origin = "frozen" if setting.is_pretrained else "trainable"
    return (
        Phase(
            name="full",
            trainable=setting.block_names,
            learning_rate=config.full_learning_rate,
            steps=setting.steps(config.full_duration, "strategy.full_duration"),
            steps_per_epoch=setting.steps_per_epoch,
            batch_norm=by_origin if config.batch_norm == "auto" else config.batch_norm,
            augmentation=setting.augmentation,
        ),
    )


def lp_ft(setting: Setting) -> tuple[Phase, ...]:
    """Linear probe, then full fine-tuning from its head.

    A head that already fits spares the pretrained features the distortion
    that gradients of a random head would cause.

    Source: Kumar et al., Fine-Tuning can Distort Pretrained Features,
    arXiv:2202.10054.
    """
    return linear_probe(setting) + full(setting)


def explicit_phases(setting: Setting) -> tuple[Phase, ...]:
    """The phases that the pipeline lists."""
    phases = []
    for index, config in enumerate(setting.config.phases):
        where = f"strategy.phases[{index}]"
        trainable = setting.blocks(config.trainable, f"{where}.trainable")
        for block in config.multipliers:
            if block not in setting.blocks((block,), f"{where}.multipliers"):
                raise ConfigError(f"{where}.multipliers: name single blocks, not {block!r}.")
            if block not in trainable:
                raise ConfigError(
                    f"{where}.multipliers: block {block!r} has a multiplier but is frozen in "
                    f"this phase. Trainable: {', '.join(trainable)}."
                )
        phases.append(
            Phase(
                name=config.name,
                trainable=trainable,
                learning_rate=config.learning_rate,
                steps=setting.steps(config.duration, f"{where}.duration"),
                steps_per_epoch=setting.steps_per_epoch,
                batch_norm=config.batch_norm,
                multipliers=dict(config.multipliers),
                augmentation=config.augmentation or setting.augmentation,
                weight_decay=config.weight_decay,
            )
        )
    return tuple(phases)
