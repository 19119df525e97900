"""Backbones of recordings."""
