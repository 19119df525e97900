"""The table of architectures in keras.applications; importing it does not import Keras.

Each architecture states its input sizes, pixel scaling, official weights files and block
boundaries. Boundaries are found by explicit layer names and the graph, never by automatic names
(`conv2d_17`), which depend on the models built before.
"""

from __future__ import annotations

from kft.backbones.architecture import Architecture, Boundary, OptionRule

_STORAGE = "https://storage.googleapis.com/tensorflow/keras-applications"
# Keras serves the first EfficientNets from a separate bucket.
_EFFICIENTNET_STORAGE = "https://storage.googleapis.com/keras-applications"
_KERNELS = "weights_tf_dim_ordering_tf_kernels"


def _mobilenets() -> list[Architecture]:
    """MobileNet, V2 and V3."""
    return [
        Architecture(
            "mobilenet",
            "MobileNet",
            "MobileNet",
            224,
            32,
            "symmetric",
            (Boundary("stem", "conv1_relu"), Boundary("block{}", r"conv_[dp]w_(\d+)(?:_.*)?")),
            f"{_STORAGE}/mobilenet",
            weights_sizes=(128, 160, 192, 224),
            options={
                "alpha": OptionRule(1.0, 0.01, (0.25, 0.5, 0.75, 1.0)),
                "depth_multiplier": OptionRule(1, 1, (1,)),
            },
        ),
        Architecture(
            "mobilenet_v2",
            "MobileNetV2",
            "MobileNet",
            224,
            32,
            "symmetric",
            (
                # The first inverted residual has no expansion: it is part of the stem.
                Boundary("stem", "expanded_conv_project_BN"),
                Boundary("block{}", r"block_(\d+)_.*"),
            ),
            f"{_STORAGE}/mobilenet_v2",
            weights_sizes=(96, 128, 160, 192, 224),
            options={"alpha": OptionRule(1.0, 0.01, (0.35, 0.5, 0.75, 1.0, 1.3, 1.4))},
        ),
        *(
            Architecture(
                f"mobilenet_v3_{size}",
                f"MobileNetV3{size.capitalize()}",
                "MobileNet",
                224,
                32,
                "none",
                (
                    Boundary("stem", r"expanded_conv_[a-z].*"),
                    Boundary("block{}", r"expanded_conv_(\d+)_.*"),
                ),
                f"{_STORAGE}/mobilenet_v3",
                weights_sizes=(224,),
                options={
                    "alpha": OptionRule(1.0, 0.01, (0.75, 1.0)),
                    "minimalistic": OptionRule(False, pretrained=(False, True)),
                },
            )
            for size in ("small", "large")
        ),
    ]


def _resnets() -> list[Architecture]:
    """ResNet and ResNetV2."""
    boundaries = (
        Boundary("stem", "pool1_pool"),
        # Keras counts the stem as conv1, so conv2 is the first stage.
        Boundary("stage{}", r"conv(\d)_block.*", offset=-1),
    )
    return [
        Architecture(
            f"resnet{depth}{'_v2' if suffix else ''}",
            f"ResNet{depth}{suffix}",
            f"ResNet{suffix}",
            224,
            32,
            "symmetric" if suffix else "caffe",
            boundaries,
            f"{_STORAGE}/resnet",
            f"resnet{depth}{suffix.lower()}_{_KERNELS}_notop.h5",
            licence="unknown" if suffix else "MIT",
        )
        for suffix in ("", "V2")
        for depth in (50, 101, 152)
    ]


def _efficientnets() -> list[Architecture]:
    """EfficientNet and EfficientNetV2, which rescale pixels in the model."""
    boundaries = (
        Boundary("stem", "stem_activation"),
        Boundary("block{}", r"block(\d)[^\d_].*"),
    )
    first = [
        Architecture(
            f"efficientnet_b{index}",
            f"EfficientNetB{index}",
            "EfficientNet",
            size,
            32,
            "none",
            boundaries,
            _EFFICIENTNET_STORAGE,
            f"efficientnetb{index}_notop.h5",
            rescale_after_normalization=True,
        )
        for index, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))
    ]
    sizes = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "s": 384, "m": 480, "l": 480}
    second = [
        Architecture(
            f"efficientnet_v2_{variant}",
            f"EfficientNetV2{variant.upper()}",
            "EfficientNetV2",
            size,
            32,
            "none",
            boundaries,
            f"{_STORAGE}/efficientnet_v2",
            f"efficientnetv2-{variant}_notop.h5",
        )
        for variant, size in sizes.items()
    ]
    return first + second


def _convnexts() -> list[Architecture]:
    """ConvNeXt, which normalises pixels in the model."""
    variants = {
        "tiny": "Tiny", "small": "Small", "base": "Base", "large": "Large", "xlarge": "XLarge"
    }  # fmt: skip
    return [
        Architecture(
            f"convnext_{variant}",
            f"ConvNeXt{constructor}",
            "ConvNeXt",
            224,
            32,
            "none",
            (
                Boundary("stem", r".*_stem"),
                Boundary("stage{}", r".*_stage_(\d)_block_.*", at="next_cut", offset=1),
            ),
            f"{_STORAGE}/convnext",
            f"convnext_{variant}_notop.h5",
            licence="MIT",
        )
        for variant, constructor in variants.items()
    ]


def _densenets() -> list[Architecture]:
    """DenseNet, where a stage is a dense block with its transition."""
    return [
        Architecture(
            f"densenet{depth}",
            f"DenseNet{depth}",
            "DenseNet",
            224,
            32,
            "torch",
            (
                Boundary("stem", "pool1"),
                Boundary("stage{}", r"pool(\d)_.*", offset=-1),
                Boundary("stage4", r"conv5_block.*"),
            ),
            f"{_STORAGE}/densenet",
            f"densenet{depth}_{_KERNELS}_notop.h5",
            licence="BSD-3-Clause",
        )
        for depth in (121, 169, 201)
    ]


def _inceptions() -> list[Architecture]:
    """InceptionV3, InceptionResNetV2 and Xception, with unnamed layers between named merges."""
    return [
        Architecture(
            "inception_v3",
            "InceptionV3",
            "Inception",
            299,
            75,
            "symmetric",
            (
                Boundary("stem", "mixed0", at="previous_cut"),
                Boundary("mixed{}", r"mixed(\d+)"),
            ),
            f"{_STORAGE}/inception_v3",
            f"inception_v3_{_KERNELS}_notop.h5",
        ),
        Architecture(
            "inception_resnet_v2",
            "InceptionResNetV2",
            "Inception",
            299,
            75,
            "symmetric",
            (
                Boundary("stem", "mixed_5b", at="previous_cut"),
                Boundary("stage1", r"mixed_5b|block35_.*", at="next_cut"),
                Boundary("stage2", r"mixed_6a|block17_.*", at="next_cut"),
                Boundary("stage3", r"mixed_7a|block8_.*", at="next_cut"),
            ),
            f"{_STORAGE}/inception_resnet_v2",
            f"inception_resnet_v2_{_KERNELS}_notop.h5",
        ),
        Architecture(
            "xception",
            "Xception",
            "Xception",
            299,
            71,
            "symmetric",
            (
                Boundary("stem", r"block1_.*"),
                Boundary("block{}", r"block([2-9]|1\d)_.*", at="next_cut"),
            ),
            f"{_STORAGE}/xception",
            f"xception_{_KERNELS}_notop.h5",
            licence="MIT",
        ),
    ]


def _nasnets() -> list[Architecture]:
    """NASNet, where a stage is a reduction with its normal cells, joined by two tensors."""
    return [
        Architecture(
            f"nasnet_{variant}",
            f"NASNet{variant.capitalize()}",
            "NASNet",
            size,
            32,
            "symmetric",
            (
                Boundary("stem", "reduction_concat_stem_2"),
                Boundary("stage1", f"normal_concat_{cells - 1}"),
                Boundary("stage2", f"normal_concat_{2 * cells}"),
                Boundary("stage3", f"normal_concat_{3 * cells}"),
            ),
            f"{_STORAGE}/nasnet",
            f"nasnet_{variant}_no_top.h5",
            f"NASNet-{variant}-no-top.h5",
        )
        for variant, size, cells in (("mobile", 224, 4), ("large", 331, 6))
    ]


def _vggs() -> list[Architecture]:
    """VGG, with five blocks that each end in a pooling."""
    return [
        Architecture(
            f"vgg{depth}",
            f"VGG{depth}",
            "VGG",
            224,
            32,
            "caffe",
            (Boundary("block{}", r"block(\d)_.*"),),
            f"{_STORAGE}/vgg{depth}",
            f"vgg{depth}_{_KERNELS}_notop.h5",
            licence="CC BY 4.0",
        )
        for depth in (16, 19)
    ]


ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architectures in (
        _mobilenets(),
        _resnets(),
        _efficientnets(),
        _convnexts(),
        _densenets(),
        _inceptions(),
        _nasnets(),
        _vggs(),
    )
    for architecture in architectures
}
