"""Classification: one of several classes per example."""
