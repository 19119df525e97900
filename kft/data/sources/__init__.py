"""Readers of class folders, tables and record files; each gives labelled files as `Found`."""
