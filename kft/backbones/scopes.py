"""Grouping of a SavedModel's variables into blocks by their name scopes."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf

# Numbered scopes that are freezing units: MobilenetV2/expanded_conv_3/…, block_3_expand/…,
# resnet_v2_50/block1/…, efficientnet-b0/blocks_0/…, InceptionV3/Mixed_5b/…
_NUMBERED = re.compile(
    r"(?:^|[/_])(?P<kind>expanded_conv|blocks?|stage|group|layer|mixed)_?(?P<number>\d+)"
    r"(?P<letter>[a-z]?)(?=[/_]|$)",
    re.IGNORECASE,
)


def group_by_scope(module: Any, function: Any) -> list[tuple[str, list[Any]]]:
    """Group a module's variables into blocks (name, variables), in the order of use in its graph.

    Variables before the first numbered scope form the 'stem', those after the last the 'tail'.
    Other variables outside a numbered scope join the block before them. A module without numbered
    scopes is a single block, 'module'.
    """
    ordered = _in_order_of_use(module, function)
    keys = [_numbered_scope(variable.name) for variable in ordered]
    if not any(keys):
        return [("module", ordered)]
    last = max(index for index, key in enumerate(keys) if key)
    groups: dict[str, list[Any]] = {}
    current = "stem"
    for index, (variable, key) in enumerate(zip(ordered, keys, strict=True)):
        current = key or ("tail" if index > last else current)
        groups.setdefault(current, []).append(variable)
    return list(groups.items())


def _in_order_of_use(module: Any, function: Any) -> list[Any]:
    """Sort the module's variables by their use in its first graph, unused ones last."""
    by_handle = {
        id(part.handle): variable
        for variable in module_variables(module)
        # Under a distribution strategy, a variable has one component on each device.
        for part in getattr(variable, "values", (variable,))
    }
    used: dict[int, Any] = {}
    for captured in function.concrete_functions[0].captured_inputs:
        if id(captured) in by_handle:
            variable = by_handle[id(captured)]
            used.setdefault(id(variable), variable)
    for variable in by_handle.values():
        used.setdefault(id(variable), variable)
    return list(used.values())


def _numbered_scope(name: str) -> str:
    """Name the block of a variable, or '' if no scope is numbered.

    >>> _numbered_scope("MobilenetV2/expanded_conv_3/project/weights:0")
    'block3'
    """
    match = _NUMBERED.search(name.removesuffix(":0"))
    if match is None:
        return ""
    kind = match["kind"].lower().removesuffix("s")
    kind = "block" if kind == "expanded_conv" else kind
    return f"{kind}{match['number']}{match['letter'].lower()}"


def module_variables(module: Any) -> list[Any]:
    """Variables that a module lists, or else all those found in it."""
    listed = getattr(module, "variables", None)
    if listed:
        return list(listed)
    held = tf.train.TrackableView(module).descendants()
    return [item for item in held if isinstance(item, tf.Variable)]
