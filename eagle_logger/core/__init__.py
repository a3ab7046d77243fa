"""Decisions, and nothing else: no I/O, no clock, no environment. These modules import only each
other and the standard library."""
