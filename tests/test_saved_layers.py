"""`import kft` is enough for Keras to read what kft saves."""

import ast
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kft.saved_layers import SAVED_LAYERS

PACKAGE = Path(__file__).parent.parent / "kft"


def test_every_layer_that_kft_registers_has_a_stand_in():
    registered = {
        f"kft>{node.name}": f"kft.{'.'.join(path.relative_to(PACKAGE).with_suffix('').parts)}"
        f":{node.name}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any("register_keras_serializable" in ast.dump(each) for each in node.decorator_list)
    }
    assert "kft>PixelScaling" in registered
    assert registered == SAVED_LAYERS


@pytest.mark.parametrize(
    "imports",
    [
        "import kft, keras",
        pytest.param("import keras, kft", marks=pytest.mark.full),
    ],
)
def test_keras_loads_a_model_of_kft_after_import_kft_only(imports, tiny_assembled, tmp_path):
    tiny_assembled.model.save(tmp_path / "model.keras")
    code = (
        f"{imports}; import numpy as np\n"
        "assert not any(name.startswith('kft.backbones') for name in __import__('sys').modules)\n"
        f"model = keras.models.load_model({str(tmp_path / 'model.keras')!r})\n"
        "print(float(np.sum(model({'pixels': np.full((1, 32, 32, 3), 100.0)}))))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    expected = float(np.sum(tiny_assembled.model({"pixels": np.full((1, 32, 32, 3), 100.0)})))
    assert float(result.stdout) == pytest.approx(expected, rel=1e-4)


def test_keras_loads_a_model_with_a_hub_module_through_the_stand_in(tmp_path, monkeypatch):
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(tf.ones((3, 4)), name="block/kernel")

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
        def __call__(self, pixels):
            return tf.reduce_mean(pixels, (1, 2)) @ self.kernel

    from kft.backbones.hub import HubLayer
    from kft.saved_layers import _StandIn

    tf.saved_model.save(Module(), str(tmp_path / "module"))
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, HubLayer(str(tmp_path / "module"))(inputs))
    model.save(tmp_path / "model.keras")
    known = keras.saving.get_custom_objects()
    for name, place in SAVED_LAYERS.items():
        monkeypatch.setitem(known, name, _StandIn(place))
    pixels = np.ones((2, 8, 8, 3), np.float32)
    again = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(again(pixels), model(pixels))
