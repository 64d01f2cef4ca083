"""Two ways in which a server knows who asks: by tokens that it asks about, and by those that it verifies itself."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import requests
from edits import Edit, TokenServer
from servers import HERE, await_port, end_process, free_port, install, start_process

HOOK, COLLEAGUE, STRANGER = "hook", "colleague", "stranger"
ROLES = {HOOK: ["platform"], COLLEAGUE: ["platform"], STRANGER: ["pipelines"]}
Policy = Sequence[Mapping[str, Any]]


def oauth_python() -> Path:
    """Return the Python of the authorization server, installed once."""
    return install("oauth", HERE / "oauth_env" / "packages.txt") / "bin" / "python"


class Identities(Protocol):
    """How the hook, its consumers and any other client show who they are."""

    def __enter__(self) -> "Identities":
        """Start what the server asks."""

    def __exit__(self, *_: object) -> None:
        """Stop it."""

    def guard(self, release: str, /, policy: Policy = ()) -> Edit:
        """Return the edit of a configuration with which the server lets nobody else in."""

    def settings(self) -> dict[str, str]:
        """Return the variables of the hook."""

    def consumer(self, who: str, folder: Path) -> Sequence[str]:
        """Return the flags with which it asks for its consumers; `folder` takes their secret."""

    def token(self, who: str) -> str:
        """Return a token for one request."""


class ByToken(TokenServer):
    """Tokens that do not change, and an endpoint that the server asks about each."""

    def __init__(self) -> None:
        super().__init__({self.token(who): {"principal": who, "attributes": {"roles": ROLES[who]}} for who in ROLES})

    def __enter__(self) -> "ByToken":
        super().__enter__()
        return self

    def settings(self) -> dict[str, str]:
        return {"LLAMA_STACK_API_KEY": self.token(HOOK)}

    def consumer(self, who: str, folder: Path) -> Sequence[str]:
        return ("--consumer-api-key-file", _file(folder, self.token(who)))

    def token(self, who: str) -> str:
        return f"the-token-of-{who}"


class ByClient:
    """Clients of an authorization server (authlib), whose signed tokens of some seconds the server verifies itself."""

    def __init__(self) -> None:
        self._python = oauth_python()
        self._folder = Path(tempfile.mkdtemp(prefix="rc-"))
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "ByClient":
        clients = self._folder / "clients.json"
        clients.write_text(json.dumps({who: {"secret": self._secret(who), "roles": ROLES[who]} for who in ROLES}))
        program, log = HERE / "oauth_env" / "authorization_server.py", self._folder / "log"
        command = [str(self._python), str(program), str(self._port), str(clients)]
        self._process = start_process(command, self._folder, log, environ={})
        await_port(self._port, self._process, log)
        return self

    def __exit__(self, *_: object) -> None:
        end_process(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def guard(self, _: str, /, policy: Policy = ()) -> Edit:
        provider = {
            "type": "oauth2_token",
            "jwks": {"uri": f"{self._url}/jwks"},
            "issuer": self._url,
            "audience": "llama-stack",
            "claims_mapping": {"roles": "roles"},
        }

        def edit(content: dict[str, Any]) -> None:
            content["server"]["auth"] = {"provider_config": provider} | (
                {"access_policy": list(policy)} if policy else {}
            )

        return edit

    def settings(self) -> dict[str, str]:
        return {
            "HOOK_OAUTH_TOKEN_URL": f"{self._url}/token",
            "HOOK_OAUTH_CLIENT_ID": HOOK,
            "HOOK_OAUTH_CLIENT_SECRET_FILE": _file(self._folder, self._secret(HOOK)),
        }

    def consumer(self, who: str, folder: Path) -> Sequence[str]:
        return (
            *("--consumer-oauth-client-id", who),
            *("--consumer-oauth-client-secret-file", _file(folder, self._secret(who))),
        )

    def token(self, who: str) -> str:
        form = {"grant_type": "client_credentials", "client_id": who, "client_secret": self._secret(who)}
        return str(requests.post(f"{self._url}/token", form, timeout=30).json()["access_token"])

    def _secret(self, who: str) -> str:
        return f"the-secret-of-{who}"


def _file(folder: Path, content: str) -> str:
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        file.write(content)
    return file.name
