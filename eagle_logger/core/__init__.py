"""Decisions, and nothing else: no I/O, no clock, no environment. Imports nothing of ours but its
own modules."""
