"""A stand-in for the token endpoint of an authorization server, with Keycloak's answers (RFC 6749, 4.4 and 5.2)."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

from tests.stand_in import StandInServer

PATH = "/realms/ai/protocol/openid-connect/token"
CLIENT, SECRET = "collections-hook", "the-s3cret-of-the-client"
WRONG_CLIENT = {"error": "unauthorized_client", "error_description": "Invalid client or Invalid client credentials"}


class FakeOAuth:
    """Grants `token-1`, `token-2` and so on to whoever knows the secret."""

    def __init__(self) -> None:
        self.url = ""
        self.secrets = {CLIENT: SECRET}
        self.expires_in: Any = 300
        self.forms: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.granted: Callable[[str], None] = lambda _: None
        """What else happens as soon as a token is granted."""
        self.answers: list[tuple[int, Any]] = []
        """What is answered first, a text as it is."""
        self.late: int | None = None
        """Which of the requests a gateway answers that gives it up."""

    def __enter__(self) -> "FakeOAuth":
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                owner.paths.append(self.path)
                owner.headers.append(dict(self.headers))
                owner.forms.append({key: value[0] for key, value in parse_qs(body).items()})
                status, content = owner.answers.pop(0) if owner.answers else owner.grant(owner.forms[-1])
                text = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if text[:1] in "{[" else "text/html")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = StandInServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}{PATH}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def grant(self, form: dict[str, str]) -> tuple[int, Any]:
        """Return the answer to a form."""
        if len(self.forms) == self.late:
            return 504, "<html><title>Gateway Timeout</title>"
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type", "error_description": "Unsupported grant_type"}
        if self.secrets.get(form.get("client_id", "")) != form.get("client_secret"):
            return 401, WRONG_CLIENT
        token = f"token-{len(self.forms)}-of-{form['client_id']}"
        self.granted(token)
        return 200, {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer", "scope": "profile"}
