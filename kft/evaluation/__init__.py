"""Evaluation of a model: its outputs on a split, figures with their baselines, and what they mean.

`prediction` and `evaluating` compute a model; all other modules are functions of arrays and load no
TensorFlow.
"""
