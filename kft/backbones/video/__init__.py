"""Backbones of videos."""
