"""Text backbones: word vectors with encoders, characters, and the transformers of KerasHub."""
