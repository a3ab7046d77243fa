"""The bridge: a Tornado server that turns messages from outside into fetches. `python -m
workers.server`."""
