"""Check of the examples of a source: every file is read once and counted."""
