"""Tokens of an authorization server: got with the client's secret, renewed in time, and never shown."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from hook.secrets import MASK
from tests.fake_llamastack import FakeLlamaStack, answer, closed_port
from tests.fake_oauth import CLIENT, PATH, SECRET, FakeOAuth
from tests.unit.conftest import Outcome, Run, entries

ONE = entries("red_hat_docs")
POST = f"POST {PATH}"
Ask = Callable[..., Outcome]


@pytest.fixture
def issuer(server: FakeLlamaStack) -> Iterator[FakeOAuth]:
    """Return an authorization server whose last token the server accepts."""

    def accept(token: str) -> None:
        server.api_key = token

    with FakeOAuth() as fake:
        fake.granted = accept
        server.api_key = "none yet"
        yield fake


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "client-secret"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.fixture
def ask(server: FakeLlamaStack, run: Run, issuer: FakeOAuth, secret: Path) -> Ask:
    """Return the hook as a client of the authorization server."""

    def call(*flags: str, **environ: str) -> Outcome:
        settings = {
            "HOOK_OAUTH_TOKEN_URL": issuer.url,
            "HOOK_OAUTH_CLIENT_ID": CLIENT,
            "HOOK_OAUTH_CLIENT_SECRET_FILE": str(secret),
        }
        return run(server.url, *flags, environ=settings | environ, collections=ONE)

    return call


def test_one_token_serves_all_requests(server: FakeLlamaStack, ask: Ask, issuer: FakeOAuth) -> None:
    outcome = ask("--connections", "8")

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert issuer.forms == [{"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}]
    assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer token-1-of-{CLIENT}"}


def test_the_token_endpoint_gets_no_header_of_llamastack(ask: Ask, issuer: FakeOAuth, tmp_path: Path) -> None:
    headers = tmp_path / "headers"
    headers.write_text("X-Forwarded-User: hr")

    assert ask("--headers-file", str(headers)).exit_code == 0
    assert [(h.get("X-Forwarded-User"), h.get("Authorization")) for h in issuer.headers] == [(None, None)]


def test_the_path_may_end_with_a_slash(ask: Ask, issuer: FakeOAuth) -> None:
    """As authentik's does, which redirects otherwise."""
    assert ask(HOOK_OAUTH_TOKEN_URL=f"{issuer.url}/").exit_code == 0
    assert issuer.paths == [f"{PATH}/"]


@pytest.mark.parametrize("expires_in", [1, "1", -1])
def test_a_token_is_renewed_before_its_end(
    ask: Ask, issuer: FakeOAuth, server: FakeLlamaStack, expires_in: Any
) -> None:
    issuer.expires_in = expires_in
    server.fault("GET /v1/models", slowly(0.6), times=1)

    outcome = ask("--log-level", "debug")

    assert outcome.exit_code == 0
    assert len(issuer.forms) > 1
    assert 401 not in [event.get("status") for event in outcome.events]


def slowly(seconds: float) -> Any:
    """Return a fault that answers as ever, but late."""

    def action(handler: Any) -> None:
        time.sleep(seconds)
        handler.reply(*handler._answer(handler.taken))

    return action


@pytest.mark.parametrize("expires_in", [None, 0])
def test_a_token_without_an_end_is_kept(ask: Ask, issuer: FakeOAuth, expires_in: Any) -> None:
    issuer.expires_in = expires_in

    assert ask().exit_code == 0
    assert len(issuer.forms) == 1


def test_a_refused_token_is_replaced_once(ask: Ask, issuer: FakeOAuth, server: FakeLlamaStack) -> None:
    """It may have been withdrawn, also under a create: a 401 says that nothing was done."""
    server.fault("POST /v1/vector_stores", answer(401, {"detail": "expired"}), times=1)

    assert ask().exit_code == 0
    assert len(issuer.forms) == 2
    assert server.names() == ["red_hat_docs"]


def test_a_token_that_is_refused_again_ends_the_run(ask: Ask, issuer: FakeOAuth, server: FakeLlamaStack) -> None:
    server.fault("GET /v1/health", answer(401, {"error": {"message": "wrong audience"}}))

    outcome = ask()

    assert (outcome.exit_code, len(issuer.forms)) == (4, 2)
    assert outcome.report["message"] == (
        f"GET /v1/health answered 401 (wrong audience): {server.url.removeprefix('http://')} did not accept the OAuth "
        "token; compare its issuer and audience, in the client of HOOK_OAUTH_CLIENT_ID, with LlamaStack's auth "
        "configuration"
    )


def test_what_the_token_may_not_do_names_its_client(ask: Ask, server: FakeLlamaStack) -> None:
    server.fault("GET /v1/health", answer(403, {"detail": "no"}))

    assert ask().report["message"].endswith(" is denied; check the roles of the client of HOOK_OAUTH_CLIENT_ID")


def test_a_wrong_secret_is_refused_with_the_server_s_word(ask: Ask, issuer: FakeOAuth, secret: Path) -> None:
    secret.write_text("wr0ng-secret")

    outcome = ask()

    assert (outcome.exit_code, len(issuer.forms)) == (4, 1)
    assert outcome.report["message"] == (
        f"{POST} answered 401 (unauthorized_client: Invalid client or Invalid client credentials): check "
        "HOOK_OAUTH_CLIENT_ID and HOOK_OAUTH_CLIENT_SECRET_FILE (Helm: oauth), and that the client has a service "
        "account"
    )


CHECK = (
    "check HOOK_OAUTH_CLIENT_ID and HOOK_OAUTH_CLIENT_SECRET_FILE (Helm: oauth), and that the client has a service "
    "account"
)


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (400, {"error": "invalid_client"}, f"(invalid_client): {CHECK}"),
        (200, {"error": "invalid_client", "error_description": "x"}, f"(invalid_client: x): {CHECK}"),
        (401, {"error": "access_denied", "error_description": "no"}, f"(access_denied: no): {CHECK}"),
        (400, {"error": ["x"]}, f"(['x']): {CHECK}"),
        (404, {"error": "Realm does not exist"}, ": Realm does not exist"),
        (400, {"detail": "x"}, ": x"),
        (401, "<html><title>Log in</title>", ": a login page is in front of a token endpoint; check"),
        (403, "no", ": access to "),
        (302, "", ", a redirect: a login page or another address is in front of a token endpoint; check"),
        (200, "<html><title>Hi</title>", ' with an HTML page "Hi"; check HOOK_OAUTH_TOKEN_URL'),
        (200, "access_token=a", ", but its content (text/html) is not JSON; probably not a token endpoint: check"),
        *(
            (200, content, " without an access_token; probably not a token endpoint: check HOOK_OAUTH_TOKEN_URL")
            for content in (
                {},
                [],
                ["a"],
                [["a"]],
                {"access_token": None},
                {"access_token": "a b"},
                {"access_token": "a", "expires_in": "soon"},
                {"access_token": "a", "expires_in": float("inf")},
                {"access_token": "a", "scope": 7},
            )
        ),
    ],
)
def test_whatever_else_it_answers_is_no_token(
    ask: Ask, issuer: FakeOAuth, status: int, content: Any, said: str
) -> None:
    issuer.answers = [(status, content)]

    outcome = ask()

    assert (outcome.exit_code, len(issuer.forms)) == (4, 1)
    assert f"answered {status}{'' if said[0] in ':, ' else ' '}{said}" in outcome.report["message"]


def test_a_token_endpoint_that_comes_late_is_waited_for(ask: Ask, issuer: FakeOAuth) -> None:
    issuer.answers = [(503, "starting"), (500, {"error": "server_error"}), (429, "slowly")]

    outcome = ask()

    assert (outcome.exit_code, len(issuer.forms)) == (0, 4)
    assert outcome.event_names().count("health.retry_scheduled") == 3


def test_a_token_endpoint_that_does_not_answer_ends_with_3(ask: Ask) -> None:
    with closed_port() as url:
        outcome = ask("--timeout", "1", HOOK_OAUTH_TOKEN_URL=f"{url}/token")

    assert outcome.exit_code == 3
    assert "POST /token: nothing listens on 127.0.0.1:" in outcome.report["message"]
    assert outcome.report["message"].endswith("(Connection refused); check HOOK_OAUTH_TOKEN_URL (Helm: oauth.tokenUrl)")


@pytest.mark.parametrize("late", range(2, 14))
def test_a_request_without_a_token_was_not_sent(ask: Ask, issuer: FakeOAuth, server: FakeLlamaStack, late: int) -> None:
    """So a create's outcome is never unknown: it is made as soon as there is a token again."""
    issuer.expires_in, issuer.late = -1, late

    outcome = ask()

    assert (outcome.exit_code, outcome.states, server.names()) == (0, ["registered"], ["red_hat_docs"])


def test_secret_and_tokens_are_shown_nowhere(
    ask: Ask, issuer: FakeOAuth, server: FakeLlamaStack, tmp_path: Path
) -> None:
    log = tmp_path / "termination-log"
    tokens = {"access_token": "the-4ccess-token", "refresh_token": "the-r3fresh-token", "id_token": "the-1d-token"}
    issuer.answers = [(200, tokens | {"token_type": "Bearer"})]
    server.fault("GET /v1/health", answer(400, {"detail": [SECRET, *tokens.values()]}))

    outcome = ask("--log-level", "debug", HOOK_TERMINATION_LOG=str(log))
    told = json.dumps([outcome.report, outcome.events]) + log.read_text()

    assert MASK in told
    assert [secret for secret in (SECRET, *tokens.values()) if secret in told] == []


def test_an_error_that_repeats_the_secret_is_masked(ask: Ask, issuer: FakeOAuth) -> None:
    issuer.answers = [(401, {"error": "invalid_client", "error_description": f"{SECRET} is wrong"})]

    assert f"(invalid_client: {MASK} is wrong)" in ask().report["message"]


def test_the_secret_is_read_for_each_token(ask: Ask, server: FakeLlamaStack, secret: Path) -> None:
    """It may be renewed, and it may go away."""

    def lose(handler: Any) -> None:
        secret.unlink()
        handler.reply(401, {})

    server.fault("GET /v1/models", lose, times=1)

    outcome = ask()

    assert outcome.exit_code == 4
    assert outcome.report["message"] == (
        f"the client's secret in {secret} cannot be read: No such file or directory; {CHECK}"
    )


def test_the_consumers_are_another_client(ask: Ask, issuer: FakeOAuth, server: FakeLlamaStack, tmp_path: Path) -> None:
    server.api_key, issuer.granted = None, lambda _: None
    issuer.secrets["pipelines"] = "the-p1pelines-secret"
    theirs = tmp_path / "theirs"
    theirs.write_text("the-p1pelines-secret")

    outcome = ask("--consumer-oauth-client-id", "pipelines", "--consumer-oauth-client-secret-file", str(theirs))
    queries = [request for request in server.requests if request.line == "POST /v1/vector-io/query"]

    assert outcome.exit_code == 0
    assert [request.headers["Authorization"] for request in queries] == [
        f"Bearer token-1-of-{CLIENT}",
        "Bearer token-2-of-pipelines",
    ]


def test_a_consumer_that_is_refused_is_named(ask: Ask, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("x")

    outcome = ask("--consumer-oauth-client-id", "pipelines", "--consumer-oauth-client-secret-file", str(theirs))

    assert outcome.exit_code == 4
    assert "check HOOK_CONSUMER_OAUTH_CLIENT_ID and HOOK_CONSUMER_OAUTH_CLIENT_SECRET_FILE" in str(outcome.report)


def test_its_certificate_is_checked_against_the_same_authority(ask: Ask, tmp_path: Path) -> None:
    """And the file of that is read before anything is sent, also where LlamaStack itself needs none."""
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(trustme.CA().cert_pem.bytes()[:100])

    outcome = ask(HOOK_OAUTH_TOKEN_URL="https://keycloak.invalid/token", REQUESTS_CA_BUNDLE=str(bundle))

    assert outcome.exit_code == 2
    assert "REQUESTS_CA_BUNDLE: no certificates to trust" in str(outcome.report["problems"])


def test_tls_where_none_is_expected_names_its_own_url(ask: Ask, issuer: FakeOAuth) -> None:
    outcome = ask("--timeout", "1", HOOK_OAUTH_TOKEN_URL=issuer.url.replace("http:", "https:"))

    assert outcome.report["message"].endswith("does not speak TLS; use http:// in HOOK_OAUTH_TOKEN_URL")


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"HOOK_OAUTH_CLIENT_ID": ""},
            "HOOK_OAUTH_TOKEN_URL, HOOK_OAUTH_CLIENT_ID, HOOK_OAUTH_CLIENT_SECRET_FILE: set all of them, or none",
        ),
        (
            {"HOOK_OAUTH_TOKEN_URL": ""},
            "HOOK_OAUTH_TOKEN_URL, HOOK_OAUTH_CLIENT_ID, HOOK_OAUTH_CLIENT_SECRET_FILE: set all of them, or none",
        ),
        (
            {"HOOK_CONSUMER_OAUTH_CLIENT_ID": "x"},
            "HOOK_OAUTH_TOKEN_URL, HOOK_CONSUMER_OAUTH_CLIENT_ID, HOOK_CONSUMER_OAUTH_CLIENT_SECRET_FILE: set all of "
            "them, or none",
        ),
        (
            {"HOOK_OAUTH_CLIENT_ID": "", "HOOK_OAUTH_CLIENT_SECRET_FILE": ""},
            "HOOK_OAUTH_TOKEN_URL: set the client as well, as HOOK_OAUTH_CLIENT_ID and its secret's file",
        ),
        (
            {"LLAMA_STACK_API_KEY": "k"},
            "LLAMA_STACK_API_KEY and HOOK_OAUTH_CLIENT_ID: set only one of them",
        ),
        (
            {"HOOK_OAUTH_TOKEN_URL": "keycloak/token"},
            "HOOK_OAUTH_TOKEN_URL: must look like "
            "https://keycloak.example/realms/REALM/protocol/openid-connect/token, without ? or #",
        ),
        (
            {"HOOK_OAUTH_TOKEN_URL": "http://user:pa55w0rd@keycloak/token"},
            "HOOK_OAUTH_TOKEN_URL: leave out the user; the client is that of HOOK_OAUTH_CLIENT_ID",
        ),
    ],
)
def test_settings_that_do_not_fit_are_problems(ask: Ask, environ: dict[str, str], problem: str) -> None:
    outcome = ask(**environ)

    assert (outcome.exit_code, outcome.report["problems"]) == (2, [problem])


def test_a_missing_secret_is_a_problem(ask: Ask, secret: Path) -> None:
    secret.unlink()

    assert ask().report["problems"] == [
        f"HOOK_OAUTH_CLIENT_SECRET_FILE: {secret}: cannot be read: No such file or directory"
    ]
