"""The backbone of a pipeline that names none: the default of the data's modality."""

from __future__ import annotations

from kft.config import Pipeline
from kft.errors import BackboneError
from kft.modalities import choose_modality


def choose_backbone(pipeline: Pipeline) -> Pipeline:
    """Replace `backbone.name: auto` by the default backbone of the data's modality.

    Raises:
        BackboneError: The modality has no default backbone.
    """
    if pipeline.backbone.name != "auto":
        return pipeline
    modality = choose_modality(pipeline.data)
    if modality.default_backbone is None:
        raise BackboneError(
            f"backbone.name: 'auto', but {modality.nouns} (data.modality {modality.name!r}) have "
            f"no default backbone. `kft backbones --modality {modality.name}` lists those to "
            "choose from."
        )
    chosen = pipeline.backbone.model_copy(update={"name": modality.default_backbone})
    return pipeline.model_copy(update={"backbone": chosen})
