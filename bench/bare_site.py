"""
The least that could take a webhook: a plain site that checks the signature,
parses the JSON, keeps nothing, and answers 200.

Says in a line on which port it listens.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from twisted.internet import reactor as installed
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from bench.webhooks import SECRET

reactor: Any = installed


class Webhook(Resource):
    """Every path, so that none has to be found."""

    isLeaf = True

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        body = request.content.read()
        signature = request.getHeader("x-hub-signature-256") or ""
        digest = hmac.digest(SECRET.encode(), body, "sha256").hex()
        if not hmac.compare_digest("sha256=" + digest, signature):
            request.setResponseCode(403)
        json.loads(body)
        return b""


port = reactor.listenTCP(0, Site(Webhook()), backlog=1024, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
