"""Pictures as people see them: previews, masks and boxes, augmented views, explanations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kft.config import ImageConfig
from kft.modalities.explained import ExplainedExample
from kft.modalities.image.input_spec import ImageSpec
from kft.modalities.showing import PREVIEW_SIDE, Showing, ViewRow


class ImageShowing(Showing):
    """Part of the modality of pictures that draws them."""

    def preview(
        self,
        path: str,
        settings: ImageConfig,
        calibrated: int | None = None,
        *,
        side: int = PREVIEW_SIDE,
    ) -> str | None:
        """See `Modality`."""
        from kft.modalities.image.preview import make_data_uri

        return make_data_uri(path, settings.background, calibrated, side=side)

    def preview_target(
        self,
        path: str,
        target: Any,
        settings: ImageConfig,
        calibrated: int | None = None,
        *,
        side: int = PREVIEW_SIDE,
    ) -> str | None:
        """See `Modality`: the mask, or the outlines of boxes, in colours."""
        from kft.modalities.image.preview import make_data_uri

        background = settings.background
        return make_data_uri(path, background, calibrated, side=side, target=target)

    def draw_answer(
        self, path: str, companion: Any, names: Sequence[str], settings: ImageConfig
    ) -> bytes:
        """See `Modality`."""
        from kft.modalities.image.drawing import draw_answer

        return draw_answer(path, companion, names, settings.background)

    def draw_views(self, rows: Sequence[ViewRow], caption: str) -> bytes:
        """See `Modality`."""
        from kft.modalities.image.gallery import draw_gallery

        return draw_gallery(rows, caption=caption)

    def draw_explanation(
        self, spec: ImageSpec, example: ExplainedExample, values: np.ndarray
    ) -> bytes:
        """See `Modality`."""
        from kft.modalities.image.overlays import draw_over_picture

        return draw_over_picture(example.shown, values)
