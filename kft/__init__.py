"""kft fine-tunes pretrained models on a user's own data with Keras 3 and TensorFlow.

Importing kft loads neither TensorFlow nor Keras: every room does so when it is used. After it,
`keras.models.load_model` reads the models that kft saves.
"""

from __future__ import annotations

import os

from kft.saved_layers import announce_layers

# Keras chooses its backend when it is first imported, from this variable.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow's C++ start-up notices are not ours to print; its errors stay.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

announce_layers()

__version__ = "0.1.0"
