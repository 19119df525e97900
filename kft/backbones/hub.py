"""TF Hub modules and other SavedModels, as a Keras layer whose blocks can be frozen."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import keras
import tensorflow as tf

from kft.backbones.hub_files import load_module, locate_module
from kft.backbones.partition import check_blocks
from kft.backbones.record import Backbone, Block
from kft.backbones.repeatability import check_repeatable
from kft.backbones.scaling import requested_scaling
from kft.backbones.scopes import group_by_scope, module_variables
from kft.backbones.weights import digest_folder
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.errors import BackboneError, first_line
from kft.modalities.image.input_spec import ImageSpec, Scaling
from kft.modalities.model_input import InputSpec

# TF Hub's common signature for images uses this size where a module states none.
_DEFAULT_SIZE = 224


@keras.saving.register_keras_serializable(package="kft")
class HubBlock(keras.layers.Layer):
    """Variables of one block of a module, frozen and unfrozen by the layer's `trainable`.

    Attributes:
        is_batch_norm_frozen: Whether batch statistics stay fixed even while the block trains.
    """

    def __init__(self, variables: Sequence[Any] = (), **options: Any) -> None:
        super().__init__(**options)
        # The Keras variables share storage with the module's own.
        self.module_variables = [
            keras.Variable(
                initializer=variable,
                trainable=variable.trainable,
                dtype=variable.dtype.name,
                name=re.sub(r"[/:]", "_", variable.name.removesuffix(":0")),
            )
            for variable in variables
        ]
        self.is_batch_norm_frozen = False
        self.built = True


@keras.saving.register_keras_serializable(package="kft")
class HubLayer(keras.layers.Layer):
    """A TF2 SavedModel (TF Hub module or Keras export) as a layer.

    Variables are grouped into blocks by their name scopes; each block is a sub-layer with its
    own `trainable`. A module has a single training flag for all its batch statistics: it is
    called with `training=True` only while every block trains and no block's batch
    normalization is frozen. Otherwise the statistics of all blocks stay fixed.

    Args:
        handle: A folder, or a URL that tensorflow_hub resolves. It is stored in the layer's
            configuration and must still resolve when a saved model is loaded; the weights
            are saved with the model.
        like: Another layer of the handle, whose module is taken over instead of loaded again.

    Raises:
        BackboneError: The handle cannot be loaded, is not callable or has no variables.
    """

    def __init__(self, handle: str, *, like: HubLayer | None = None, **options: Any) -> None:
        # The module's graph computes in float32, even under a mixed policy.
        options["dtype"] = "float32"
        super().__init__(**options)
        self.handle = handle
        self.folder: Path = locate_module(handle) if like is None else like.folder
        module: Any = load_module(self.folder) if like is None else like._module.value
        self._function, self._takes_training = _find_call(module, handle)
        self.is_keras_export = not callable(module)
        # Keeps the module alive, untracked by Keras and TensorFlow.
        self._module: _Hidden = _Hidden(module)
        self.hub_blocks = [
            HubBlock(variables, name=name, dtype="float32")
            for name, variables in self.group_variables(module)
        ]
        self.built = True

    @property
    def function(self) -> Any:
        """The module's own function."""
        return self._function.value

    def group_variables(self, module: Any) -> list[tuple[str, list[Any]]]:
        """Group the module's variables into blocks."""
        return group_by_scope(module, self.function)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Compute feature vectors or maps of `inputs`, pixels in the range the module expects."""
        outputs = self.call_module(tf.cast(inputs, tf.float32), training)
        if isinstance(outputs, dict):
            outputs = outputs["default"] if "default" in outputs else next(iter(outputs.values()))
        return outputs

    def call_module(self, inputs: Any, training: bool | None) -> Any:
        """Call the module's function, with its training flag if it has one."""
        if not self._takes_training:
            return self.function(inputs)
        updates_statistics = self.trainable and all(
            block.trainable and not block.is_batch_norm_frozen for block in self.hub_blocks
        )
        return self.function(inputs, training=bool(training) and updates_statistics)

    def get_config(self) -> dict[str, Any]:
        """Configuration of the layer; its handle must still resolve when the layer is rebuilt."""
        return {**super().get_config(), "handle": self.handle}


class _Hidden:
    """Wrapper that hides an object from the attribute tracking of Keras and TensorFlow."""

    def __init__(self, value: Any) -> None:
        self.value = value


def load(config: BackboneConfig, *, prefix: str = "hub:") -> Backbone:
    """Load the backbone behind `hub:HANDLE`, a TF Hub URL or the folder of a SavedModel.

    Raises:
        BackboneError: The module cannot be loaded, is random at inference, or other weights or
            options are requested.
    """
    from kft.backbones.audio import hub_waveforms
    from kft.backbones.video import hub_clips

    handle = config.name.removeprefix(prefix)
    if config.weights != PRETRAINED:
        raise BackboneError(
            f"backbone.weights: {config.weights!r} is not possible for {config.name!r}: a "
            "SavedModel's graph comes with its own weights and has no initializers. Remove "
            "`backbone.weights`."
        )
    if "preprocessor" in config.options:
        from kft.backbones.text import hub_encoder

        return hub_encoder.load(config, handle)
    path = Path(handle).expanduser()
    if path.exists():
        handle = str(path.resolve())
    layer = HubLayer(handle, name="hub_module")
    if hub_waveforms.reads_waveforms(layer):
        return hub_waveforms.wrap(config, layer)
    if hub_clips.reads_clips(layer):
        return hub_clips.wrap(config, layer)
    scaling = requested_scaling(config) or _hub_scaling(layer, config)
    size = _input_size(layer, config)
    inputs = keras.Input((size, size, 3), name="pixels")
    try:
        model = keras.Model(inputs, layer(inputs), name="hub_backbone")
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise BackboneError(
            f"{config.name!r} does not accept pictures of {size} x {size}: "
            f"{first_line(error)} Set `backbone.input_size`."
        ) from error
    if len(model.output.shape) not in (2, 4):
        raise BackboneError(
            f"{config.name!r} outputs a tensor of shape {model.output.shape}; a backbone outputs "
            "a feature vector (batch, channels) or a feature map (batch, height, width, channels)."
        )
    return make_backbone(config, model, layer, ImageSpec(size, size, 3, scaling))


def make_backbone(
    config: BackboneConfig, model: keras.Model, layer: HubLayer, spec: InputSpec
) -> Backbone:
    """Make a backbone of a model around a module.

    Args:
        config: The `backbone` section.
        model: Model whose only layer with weights is the module.
        layer: The module.
        spec: Input of the model.

    Raises:
        BackboneError: The module is random at inference.
    """
    check_repeatable(model, config.name)
    blocks = tuple(Block(block.name, (block,)) for block in layer.hub_blocks)
    check_blocks(model, blocks)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=spec,
        blocks=blocks,
        feature_levels=(),
        source=f"SavedModel {layer.handle}",
        licence="unknown",
        sha256=digest_folder(layer.folder),
    )


def _find_call(module: Any, handle: str) -> tuple[_Hidden, bool]:
    """Find the module's function of pixels, and whether it takes `training`.

    Raises:
        BackboneError: The module is not callable or has no variables.
    """
    from kft.backbones.video import hub_clips

    clips = hub_clips.find_signature(module)
    if clips is not None:
        return _Hidden(clips), False
    if not (callable(module) or hasattr(module, "serve")) or not module_variables(module):
        raise BackboneError(
            f"{handle} cannot be a backbone: kft needs a callable TensorFlow 2 SavedModel "
            "(`__call__`, or `serve` as Keras exports) with variables. A TF1 Hub module, or one "
            "with signatures only, can be served but not fine-tuned."
        )
    restored = module.__call__ if callable(module) else module.serve
    takes_training = any(
        "training" in concrete.structured_input_signature[1]
        or "training" in _argument_names(restored)
        for concrete in restored.concrete_functions
    )
    return _Hidden(restored), takes_training


def _argument_names(function: Any) -> list[str]:
    """Names of the arguments of a restored function."""
    specification = getattr(function, "function_spec", None) or getattr(
        function, "_function_spec", None
    )
    if specification is None:
        return list(inspect.signature(function).parameters)
    return [str(name) for name in specification.fullargspec.args]


def _hub_scaling(layer: HubLayer, config: BackboneConfig) -> Scaling:
    """Pixel scaling 'unit', TF Hub's convention for images, which Keras exports do not follow.

    Raises:
        BackboneError: The SavedModel is a Keras export.
    """
    if not layer.is_keras_export:
        return "unit"
    raise BackboneError(
        f"{config.name!r} is a Keras export, which does not state its pixel scaling. Set "
        f"`backbone.options.scaling` to one of {', '.join(get_args(Scaling))}."
    )


def _input_size(layer: HubLayer, config: BackboneConfig) -> int:
    """Height and width in pixels: fixed by the module's graph, requested, or the default.

    Raises:
        BackboneError: The fixed and the requested size differ, or inputs are not RGB.
    """
    fixed: set[int] = set()
    for concrete in layer.function.concrete_functions:
        for argument in tf.nest.flatten(concrete.structured_input_signature):
            if isinstance(argument, tf.TensorSpec) and argument.shape.rank == 4:
                if argument.shape[3] not in (3, None):
                    raise BackboneError(
                        f"{config.name!r} takes {argument.shape[3]} channels; kft provides 3."
                    )
                fixed.add(argument.shape[1] or 0)
    if 0 in fixed or not fixed:
        return config.input_size or _DEFAULT_SIZE
    if config.input_size and config.input_size not in fixed:
        raise BackboneError(
            f"backbone.input_size: found {config.input_size}, but {config.name!r} takes "
            f"{min(fixed)} pixels only."
        )
    return min(fixed)
