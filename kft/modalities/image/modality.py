"""Pictures as a modality: the one place that the rest of kft reaches them by."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kft.config import ImageConfig, MasksConfig
from kft.examples import Calibration
from kft.findings import Finding
from kft.modalities.annotated import Outlined
from kft.modalities.audit_records import Fact, Measure, Property
from kft.modalities.base import Modality
from kft.modalities.checked import (
    CheckedTarget,
    CheckOptions,
    FileContent,
    TrainedCalibration,
    UnusableError,
)
from kft.modalities.corruptions import Corruption
from kft.modalities.image import conversion, traits
from kft.modalities.image.depth import find_depth
from kft.modalities.image.file_check import check_picture
from kft.modalities.image.input_spec import ImageSpec
from kft.modalities.image.inspection import CheckedPicture, Inspection
from kft.modalities.image.masks import check_mask
from kft.modalities.image.quality import find_poor
from kft.modalities.image.sample_scale import FULL_DEPTH
from kft.modalities.image.showing import ImageShowing
from kft.modalities.image.strangers import refuse_stranger
from kft.modalities.model_input import Decoder, InputSpec, StatedInput
from kft.registry import Registry
from kft.tasks import COMPANIONS

# More than a picture of so many pixels needs, in 16 bits with opacity and without compression.
_BYTES_PER_PIXEL = 9
_SPARE_BYTES = 50_000_000


class ImageModality(ImageShowing, Modality):
    """Pictures: photographs, scans, drawings."""

    name = "image"
    noun = "picture"
    nouns = "pictures"
    settings = ImageConfig
    input_spec = ImageSpec
    default_backbone = "mobilenet_v2"
    # Used, converted, or refused for their content.
    endings = (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp"),
        *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".heic", ".heif"),
        *(".avif", ".jxl"),
    )
    folder_names = ("images", "image", "imgs", "img", "pictures", "photos", "jpegimages", "input")
    # "BM" alone is too little to go by.
    signatures: ClassVar[Mapping[bytes, str]] = {
        b"\xff\xd8\xff": ".jpg",
        b"\x89PNG\r\n": ".png",
        b"GIF8": ".gif",
        b"RIFF": ".webp",
        b"II*\0": ".tif",
        b"MM\0*": ".tif",
    }
    values = (
        "the path of a file or folder, a PIL picture, a NumPy array uint8 of shape (height, width, "
        "3), or a batch of these"
    )
    record_features: ClassVar[Mapping[str, str]] = {
        "tfrecord": "image/encoded",
        "tfrecord_label": "image/class/label",
        "tfds": "image",
    }
    layouts = Registry(
        "layout of annotations",
        {
            "coco": "kft.modalities.image.annotations.coco:read_coco",
            "voc": "kft.modalities.image.annotations.voc:read_voc",
            "yolo": "kft.modalities.image.annotations.yolo:read_yolo",
        },
    )
    augmentations = Registry(
        "augmentation",
        {
            "none": "kft.modalities.model_input:make_no_augmentation",
            "light": "kft.modalities.image.jitter:make_light",
            "medium": "kft.modalities.image.jitter:make_medium",
            "strong": "kft.modalities.image.jitter:make_strong",
            "trivial_augment": "kft.modalities.image.policies:make_trivial_augment",
            "rand_augment": "kft.modalities.image.policies:make_rand_augment",
            "aug_mix": "kft.modalities.image.policies:make_aug_mix",
        },
    )
    reading_settings = frozenset({"max_megapixels"})
    # Of 64. Measured: a photograph that was made smaller or larger, brighter, grey or blurred, or
    # saved again differs from itself in at most 4 in 98 of 100 cases. At 6 different hands before
    # one wall pass for the same.
    most_different_bits = 4
    companions = COMPANIONS

    def find_layout(self, path: Path) -> str | None:
        """See `Modality`."""
        from kft.modalities.image.annotations import coco, voc, yolo

        found = {"coco": coco.is_coco, "voc": voc.is_voc, "yolo": yolo.is_yolo}
        return next((name for name, is_layout in found.items() if is_layout(path)), None)

    def read_outlines(self, path: Path) -> tuple[tuple[str, ...], Sequence[Outlined]]:
        """See `Modality`: the outlines of a COCO file."""
        from kft.modalities.image.annotations.outlines import read_outlines

        return read_outlines(path)

    def find_size(self, path: str) -> tuple[float, float] | None:
        """See `Modality`."""
        from kft.modalities.image.sizes import find_upright_size

        return find_upright_size(path)

    def encode_feature(self, feature: Any) -> Callable[[Any], bytes] | None:
        """See `Modality`: an array of pixels becomes a PNG."""
        import tensorflow as tf
        import tensorflow_datasets as tfds

        if isinstance(feature, tfds.features.Image):
            return None
        is_array = isinstance(feature, tfds.features.Tensor) and len(feature.shape) == 3
        if not is_array or feature.np_dtype != np.uint8:
            raise UnusableError(
                "Expected an Image, or a tensor of uint8 with height, width and channels."
            )
        return lambda pixels: tf.io.encode_png(pixels).numpy()

    def encode_value(self, value: Any) -> tuple[bytes, ...] | None:
        """See `Modality`: PIL pictures and arrays of pixels become PNG files."""
        from kft.modalities.image.values import encode_pictures

        return encode_pictures(value)

    def refuse_early(self, start: bytes, size: int, settings: ImageConfig) -> None:
        """See `Modality`: what begins as no picture does, and what is too large for one."""
        refuse_stranger(start)
        most = settings.max_megapixels
        if size > _SPARE_BYTES + _BYTES_PER_PIXEL * most * 1e6:
            raise UnusableError(
                f"{size / 1e9:.3g} GB; a picture of {most:g} megapixels, the most that are decoded "
                "(data.image.max_megapixels), takes less"
            )

    def check(
        self, file: FileContent, settings: ImageConfig, options: CheckOptions
    ) -> CheckedPicture:
        """See `Modality`."""
        return check_picture(file, settings, options)

    def check_target(
        self, file: FileContent, checked: Any, settings: MasksConfig, options: CheckOptions
    ) -> CheckedTarget:
        """See `Modality`: a mask in the size of its upright picture."""
        return check_mask(file, checked, settings, options)

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Leave limits to `data.image.max_megapixels`, and warnings that name no file aside."""
        from PIL import Image

        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"PIL\.")
                yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit

    def calibrate(
        self,
        checked: Sequence[Any],
        settings: ImageConfig,
        trained: TrainedCalibration | None = None,
    ) -> Calibration | None:
        """See `Modality`: one depth for all pictures of more than 8 bits."""
        return find_depth(checked, settings.depth, trained)

    def make_decoder(
        self, spec: ImageSpec, settings: ImageConfig, calibrated: int | None = None
    ) -> Decoder:
        """See `Modality`; without a depth, a picture of 16 bits is shown by all of them."""
        from kft.modalities.image.decoding import ImageDecoder

        return ImageDecoder(
            height=spec.height,
            width=spec.width,
            resize=settings.resize,
            background=settings.background,
            depth=calibrated or FULL_DEPTH,
        )

    def reading_key(self, settings: ImageConfig) -> str:
        """See `Modality`: where the depth is set, files are read by it and not by their headers."""
        return f"{conversion.VERSION} {settings.depth}"

    def describe_input(
        self, spec: InputSpec, settings: ImageConfig, calibrated: int | None
    ) -> dict[str, Any]:
        """See `Modality`."""
        return {
            **asdict(spec),
            "resize": settings.resize,
            "background": settings.background,
            "depth": calibrated,
            "depth_is_set": settings.depth != "auto",
        }

    def restore_input(self, stated: Mapping[str, Any]) -> StatedInput:
        """See `Modality`."""
        depth = stated.get("depth")
        settings = {"resize": stated["resize"], "background": stated["background"]}
        if stated.get("depth_is_set"):
            settings["depth"] = depth
        return StatedInput(
            self.restore_spec(stated), ImageConfig(**settings), TrainedCalibration(depth)
        )

    def show_calibrated(self, checked: Inspection, calibration: Calibration) -> Inspection:
        """See `Modality`: as bright as the graph shows it."""
        return checked.show_at(calibration.value)

    def find_poor(self, checked: Sequence[Inspection]) -> tuple[Finding, ...]:
        """See `Modality`: tiny, blank, dark, blurred."""
        return find_poor(checked)

    def list_properties(self, checked: Sequence[Inspection]) -> tuple[Property, ...]:
        """See `Modality`."""
        return traits.list_properties(checked)

    def list_measures(self, checked: Sequence[Inspection]) -> tuple[Measure, ...]:
        """See `Modality`."""
        return traits.list_measures(checked)

    def name_kinds(self, checked: Sequence[Inspection]) -> tuple[str, ...]:
        """See `Modality`."""
        return tuple(f"{each.format} in mode {each.mode}" for each in checked)

    def summarise(self, checked: Sequence[Inspection]) -> tuple[Fact, ...]:
        """See `Modality`."""
        return traits.summarise(checked)

    def summarise_group(self, checked: Sequence[Inspection]) -> tuple[Fact, ...]:
        """See `Modality`."""
        return traits.summarise_group(checked)

    def list_corruptions(self) -> tuple[Corruption, ...]:
        """See `Modality`."""
        from kft.modalities.image.corruptions import CORRUPTIONS

        return CORRUPTIONS
