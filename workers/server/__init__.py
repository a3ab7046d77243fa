"""The bridge: an HTTP server (Tornado) that turns messages from outside into fetches."""
