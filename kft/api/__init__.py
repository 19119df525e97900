"""The Python API, which calls the same functions as the commands, for scripts and notebooks.

`import kft` provides its names, each of which is loaded on first use.
"""
