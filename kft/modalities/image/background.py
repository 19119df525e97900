"""What shows through transparent parts: one answer for the graph and for the gate."""

# Of each colour.
BACKGROUND_VALUES = {"white": 255, "black": 0}
