"""Explanations: what in an example an answer depends on, and checks that they are right."""
