"""`GET /`: what this server is, for people with a browser."""

from __future__ import annotations

from workers.server.handlers import Handler

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}"
    "code{background:#8882}"
)

HOME = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>eagle_logger bridge</title>
<style>{_STYLE}</style>
<h1>eagle_logger bridge</h1>
<p>This server takes messages from Amazon SNS, and has the gateway of the home that a message names
fetched at once.</p>
<ul>
<li><a href="/healthz">/healthz</a>: this process</li>
<li><a href="/readyz">/readyz</a>: the system, by its recent progress</li>
<li><a href="/metrics">/metrics</a>: for Prometheus</li>
<li><a href="/openapi.json">/openapi.json</a>: every route, for programs</li>
</ul>
<p>SNS delivers to <code>POST /sns</code>. The routes under <code>/api/</code> need the token in
<code>EAGLE_API_TOKEN</code>; without one, they are off.</p>
</html>
"""


class HomeHandler(Handler):
    async def get(self) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.finish(HOME)
