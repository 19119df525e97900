"""Folders, tables and records -> labelled files, `Found`."""
