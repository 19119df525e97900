"""Texts: inspection, tokenizers in the graph, augmentation."""
