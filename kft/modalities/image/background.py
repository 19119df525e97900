"""Background of transparent parts, shared by the graph and the file check."""

# Value of each colour channel.
BACKGROUND_VALUES = {"white": 255, "black": 0}
