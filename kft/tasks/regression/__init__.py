"""Regression: one or several numbers per example."""
