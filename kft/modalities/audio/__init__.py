"""Recordings: speech, music, machines, animals."""
