"""Options, sizes and official weights files that an architecture allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kft.backbones.architecture import Architecture, OptionRule, OptionValue
from kft.backbones.weights import OfficialFile
from kft.errors import BackboneError

# Spelling of the width multiplier in the names of MobileNet's files.
_MOBILENET_ALPHA = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}

_MINILM_URL = "https://huggingface.co/sentence-transformers/paraphrase-MiniLM-L3-v2/resolve/main"


def minilm_file(part: str) -> OfficialFile:
    """One file of the folder of MiniLM, by its name on Hugging Face."""
    return OfficialFile(f"minilm_l3/{part}", f"{_MINILM_URL}/{part}")


# Weights of backbones that are not in keras.applications.
OTHER_FILES: Mapping[str, tuple[OfficialFile, ...]] = {
    "yamnet": (OfficialFile("yamnet.h5", "https://storage.googleapis.com/audioset/yamnet.h5"),),
    "minilm_l3": (minilm_file("model.safetensors"),),
}


def check_options(architecture: Architecture, options: Mapping[str, Any]) -> None:
    """Refuse unknown options and values that the architecture does not allow.

    Raises:
        BackboneError: An option is not allowed; the message lists all problems and options.
    """
    problems = [
        f"{name}: {_problem(options[name], architecture.options.get(name))}"
        for name in options
        if _problem(options[name], architecture.options.get(name))
    ]
    if problems:
        allowed = ", ".join(
            f"{name} ({type(rule.default).__name__}, by default {rule.default})"
            for name, rule in architecture.options.items()
        )
        raise BackboneError(
            f"backbone.options of {architecture.name}: {'; '.join(problems)}. "
            f"Allowed: {allowed or 'none'}."
        )


def _problem(value: Any, rule: OptionRule | None) -> str:
    """Describe the problem of an option's value; '' if it has none."""
    if rule is None:
        return "no such argument"
    if isinstance(rule.default, bool):
        return "" if isinstance(value, bool) else f"{value!r} is neither true nor false"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{value!r} is not a number"
    if isinstance(rule.default, int) and not isinstance(value, int):
        return f"{value!r} is not a whole number"
    return "" if value >= rule.minimum else f"{value!r} is below {rule.minimum}"


def check_size(architecture: Architecture, size: int | None) -> int:
    """Input size in pixels: the requested one, or that of pretraining.

    Raises:
        BackboneError: The size is too small for the architecture.
    """
    if size is None:
        return architecture.default_size
    if size < architecture.smallest_size:
        raise BackboneError(
            f"backbone.input_size: {size} is too small for {architecture.name}; the minimum is "
            f"{architecture.smallest_size}, and it was pretrained at {architecture.default_size}."
        )
    return size


def official_files(
    architecture: Architecture, options: Mapping[str, Any], size: int
) -> tuple[OfficialFile, ...]:
    """List the official weights files without top that fit, best first.

    MobileNet and MobileNetV2 have files for several input sizes. Convolutions fit any size, so
    the exact size comes first and 224 second.

    Raises:
        BackboneError: No ImageNet weights exist for these options.
    """
    values = {name: options.get(name, rule.default) for name, rule in architecture.options.items()}
    for name, rule in architecture.options.items():
        if values[name] not in rule.pretrained:
            _refuse_pretrained(architecture, f"{name}={values[name]}", rule.pretrained)
    if values.get("minimalistic") and values.get("alpha") != 1.0:
        _refuse_pretrained(architecture, f"minimalistic with alpha={values['alpha']}", (1.0,))
    if architecture.weights_file:
        remote = architecture.remote_file or architecture.weights_file
        return (OfficialFile(architecture.weights_file, f"{architecture.weights_url}/{remote}"),)
    sizes = [size] if size in architecture.weights_sizes else []
    names = [_file_name(architecture, values, rows) for rows in dict.fromkeys([*sizes, 224])]
    return tuple(OfficialFile(name, f"{architecture.weights_url}/{name}") for name in names)


def _file_name(architecture: Architecture, values: Mapping[str, Any], rows: int) -> str:
    """Keras's file name for the weights of a MobileNet with these options."""
    alpha = float(values["alpha"])
    if architecture.name == "mobilenet":
        return f"mobilenet_{_MOBILENET_ALPHA[alpha]}_{rows}_tf_no_top.h5"
    if architecture.name == "mobilenet_v2":
        return f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{rows}_no_top.h5"
    size = architecture.name.rpartition("_")[2]
    minimal = "_minimalistic" if values["minimalistic"] else ""
    return f"weights_mobilenet_v3_{size}{minimal}_224_{alpha}_float_no_top_v2.h5"


def _refuse_pretrained(
    architecture: Architecture, found: str, allowed: tuple[OptionValue, ...]
) -> None:
    raise BackboneError(
        f"backbone.options: no ImageNet weights exist for {architecture.name} with {found}, only "
        f"with {', '.join(str(value) for value in allowed)}. Choose one of these, or "
        "`backbone.weights=random`."
    )
