"""Segmentation: the class of every position of an example, from a mask."""
