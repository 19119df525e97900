"""Pretraining of a text backbone on texts without labels, from its initial weights."""
