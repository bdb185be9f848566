"""An OpenID Connect provider on loopback: discovery, keys, the code flow with PKCE, userinfo;
honest unless a test says otherwise.

``with Provider() as provider:`` Its ``person`` is whoever signs in next. ``lie`` turns the claims
of an honest token into the token that is sent; ``delay_s`` makes every answer slow; ``says``
replaces fields of the description.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = "cogo-gateway"
ANN = {"sub": "ann-0001", "email": "ann@example.com", "email_verified": True, "name": "Ann Lee", "groups": ["llm-operators"]}


@cache
def signing_key(number: int = 0) -> rsa.RSAPrivateKey:
    """Making one takes a tenth of a second: one for all tests, and a stranger's."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(24)
        self.person: dict[str, Any] = dict(ANN)
        self.lie: Callable[[Provider, dict[str, Any]], str] = Provider.signed
        self.says: dict[str, Any] = {}
        self.in_userinfo: dict[str, Any] | None = None
        self.delay_s = 0.0
        self.raw: bytes | None = None
        self.status = 200
        self.takes_codes_again = False
        self.asked: list[str] = []
        self.authorizations: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, Any]] = {}
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                provider._answer(self, b"")

            def do_POST(self) -> None:
                provider._answer(self, self.rfile.read(int(self.headers.get("content-length") or 0)))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def claims(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce, **self.person}

    def signed(self, claims: dict[str, Any], *, key: Any = None, kid: str | None = "one", algorithm: str = "RS256") -> str:
        headers = {"kid": kid} if kid else {}
        return jwt.encode(claims, signing_key() if key is None else key, algorithm=algorithm, headers=headers)

    def authorize(self, address: str) -> str:
        """What a browser does that its person lets in at once: where the provider sends it, path
        and query."""
        import http.client

        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request("GET", f"{parts.path}?{parts.query}")
        sent = urlsplit(connection.getresponse().headers["location"])
        connection.close()
        return f"{sent.path}?{sent.query}"

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        path = urlsplit(handler.path).path
        self.asked.append(path)
        if self.delay_s and path != "/authorize":
            self._stopped.wait(self.delay_s)
        if path == "/authorize":
            self._authorize(handler)
            return
        made = {
            "/.well-known/openid-configuration": self._description,
            "/jwks": self._keys,
            "/token": lambda: self._token(handler, body),
            "/userinfo": lambda: (200, {"sub": self.person["sub"], **(self.in_userinfo or {})}),
        }.get(path, lambda: (404, {}))
        status, document = made()
        text = json.dumps(document).encode() if self.raw is None else self.raw
        handler.send_response(status if self.status == 200 else self.status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(text)))
        if self.status in (301, 302):
            handler.send_header("location", "http://127.0.0.1:9/elsewhere")
        handler.end_headers()
        handler.wfile.write(text)

    def _description(self) -> tuple[int, dict[str, Any]]:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
        return 200, found | self.says

    def _keys(self) -> tuple[int, dict[str, Any]]:
        return 200, {"keys": [{**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(signing_key().public_key())), "kid": "one", "use": "sig"}]}

    def _authorize(self, handler: BaseHTTPRequestHandler) -> None:
        asked = dict(parse_qsl(urlsplit(handler.path).query))
        self.authorizations.append(asked)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        handler.send_response(302)
        handler.send_header("location", f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")
        handler.send_header("content-length", "0")
        handler.end_headers()

    def _token(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]]:
        sent = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        given = handler.headers.get("authorization", "")
        if given.startswith("Basic "):
            client, _, secret = base64.b64decode(given[6:]).decode().partition(":")
            client, secret = unquote_plus(client), unquote_plus(secret)
        else:
            client, secret = sent.get("client_id", ""), sent.get("client_secret", "")
        if (client, secret) != (CLIENT, self.secret):
            return 401, {"error": "invalid_client"}
        code = sent.get("code", "")
        asked = self._codes.get(code) if self.takes_codes_again else self._codes.pop(code, None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(sent.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        if asked is None or sent.get("redirect_uri") != asked["redirect_uri"] or challenge != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        token = self.lie(self, self.claims(asked["nonce"]))
        return 200, {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 300, "id_token": token}
