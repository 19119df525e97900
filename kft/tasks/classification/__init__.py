"""One class of several."""
