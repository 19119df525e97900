from __future__ import annotations

from inspections import inspect

from kft.modalities.image.inspection import Inspection
from kft.modalities.image.traits import summarise, summarise_group


def told(*seen: Inspection) -> dict[str, object]:
    return {fact.key: fact.value for fact in summarise(seen)}


def test_sizes_modes_and_shapes_are_counted_upright():
    grey = inspect(mode="L", format="PNG")
    turned = inspect(width=300, height=100, orientation=6)
    facts = told(grey, turned, *[inspect()] * 38)
    assert facts["modes"] == {"RGB": 39, "L": 1}
    assert facts["formats"] == {"JPEG": 39, "PNG": 1}
    assert facts["sizes"] == {"500 x 375": 39, "100 x 300": 1}
    assert facts["aspect_ratios"] == {"below 0.4": 1, "1.05 to 1.4": 39}
    assert facts["width"]["least"] == 100 and facts["height"]["greatest"] == 375


def test_many_sizes_are_counted_together():
    sizes = told(*[inspect(width=400 + i) for i in range(20)], *[inspect()] * 20)["sizes"]
    assert list(sizes)[-1] == "13 other sizes"
    assert sum(sizes.values()) == 40


def test_no_picture_has_no_size():
    assert summarise([]) == ()


def test_a_group_shows_its_mean_colour():
    red = inspect(mean_rgb=(255.0, 0.0, 0.0), brightness=50.0, contrast=10.0)
    brightness, contrast, colour = summarise_group([red, inspect(brightness=110.0)])
    assert (brightness.value, contrast.value) == (80.0, 35.0)
    assert colour.value == [188, 55, 50] and colour.colour == "#bc3732"
