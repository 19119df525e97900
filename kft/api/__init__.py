"""The Python face: the same functions as the commands call, for scripts and notebooks.

`import kft` offers its names; nothing is loaded before a name is used.
"""
