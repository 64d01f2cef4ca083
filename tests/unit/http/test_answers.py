"""What an answer means: a value, or one of two errors, «later» and «never»."""

import json
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from hook.errors import RefusedError, UnavailableError, one_line
from hook.http.answers import Answer, error_text, memory, retry_after_seconds
from hook.http.client import MAX_ANSWER_BYTES
from hook.http.endpoint import Endpoint
from hook.secrets import forget, keep_out
from tests.fake_llamastack import (
    FakeLlamaStack,
    answer,
)
from tests.unit.http.conftest import PATH, failure, get_failure, http


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_unavailable(server: FakeLlamaStack, status: int) -> None:
    """The message has the method, the path, the status, the server's words, and where to look if it failed."""
    error = get_failure(server, answer(status, {"detail": "not now"}, Retry_After="7"))

    hint = "; see LlamaStack's log" if status >= 500 else ""
    assert str(error) == f"GET {PATH} answered {status}: not now{hint}"
    assert isinstance(error, UnavailableError)
    assert (error.status, error.retry_after_seconds, error.in_flight) == (status, 7, False)


@pytest.mark.parametrize("status", [400, 404, 405, 409, 422])
def test_a_status_that_will_not_pass_is_refused(server: FakeLlamaStack, status: int) -> None:
    """The same request would get the same answer."""
    error = get_failure(server, answer(status, {"detail": "never"}))

    assert str(error) == f"GET {PATH} answered {status}: never"
    assert isinstance(error, RefusedError)
    assert (error.status, error.detail) == (status, "never")


def test_a_missing_and_a_wrong_key_have_their_own_sentences(server: FakeLlamaStack) -> None:
    """Both are 401, and the next step differs."""
    server.api_key = "right"

    missing = failure(lambda: http(server.url).get("/v1/models"))
    wrong = failure(lambda: http(server.url, api_key="wrong").get("/v1/models"))

    assert str(missing) == (
        "GET /v1/models answered 401 (Authentication required. Please provide your API key): "
        f"no API key is configured for {server.url.removeprefix('http://')}; "
        "set LLAMA_STACK_API_KEY_FILE (Helm: apiKeySecret.name)"
    )
    assert str(wrong) == (
        f"GET /v1/models answered 401 (Authentication failed: 401): {server.url.removeprefix('http://')} did not "
        "accept the API key; check LLAMA_STACK_API_KEY_FILE (Helm: apiKeySecret.name)"
    )


def test_a_denial_has_its_own_sentence(server: FakeLlamaStack) -> None:
    """403 is about rights, not about the key."""
    error = get_failure(server, answer(403))

    place = server.url.removeprefix("http://")
    assert str(error) == (
        f"GET {PATH} answered 403 (scripted): access to {place} is denied; "
        "check LLAMA_STACK_API_KEY_FILE (Helm: apiKeySecret.name), and its roles"
    )


def test_a_redirect_is_refused_and_not_followed(server: FakeLlamaStack) -> None:
    """It leads to a login page; the key must not go there."""
    error = get_failure(server, answer(302, b"", Location="https://login.example/oauth?state=secret"))

    assert isinstance(error, RefusedError)
    assert "answered 302, a redirect to https://login.example: a login page" in str(error)
    assert "secret" not in str(error)
    assert server.lines() == [f"GET {PATH}"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000])
def test_an_answer_that_is_not_json_is_refused(server: FakeLlamaStack, body: bytes) -> None:
    error = get_failure(server, answer(200, body, Content_Type="text/odd"))

    assert isinstance(error, RefusedError)
    assert str(error) == (
        f"GET {PATH} answered 200, but its content (text/odd) is not JSON; "
        "probably not LlamaStack: check LLAMA_STACK_URL"
    )


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize(
    ("page", "shown"),
    [
        (b"<html>Log in</html>", "an HTML page"),
        (b" \n<!DOCTYPE HTML>\n<html lang='en'><title>Error\nresponse</title>", 'an HTML page "Error response"'),
        (b"<head><title class='x'>Log in</title>", 'an HTML page "Log in"'),
        (b"<html>" + b"<title " * 40_000, "an HTML page"),
    ],
)
def test_a_page_is_another_server(server: FakeLlamaStack, status: int, page: bytes, shown: str) -> None:
    """Its title says more than its markup."""
    error = get_failure(server, answer(status, page))

    assert isinstance(error, RefusedError)
    assert str(error) == (
        f"{server.url} is not LlamaStack: GET {PATH} answered {status} with {shown}; check LLAMA_STACK_URL"
    )


def test_a_gateway_s_page_may_pass(server: FakeLlamaStack) -> None:
    error = get_failure(server, answer(503, b"<html><title>Application is not available</title>"))

    assert isinstance(error, UnavailableError)
    assert str(error) == (
        f'GET {PATH} answered 503 with an HTML page "Application is not available"; see LlamaStack\'s log'
    )


def test_a_compressed_answer_is_refused(server: FakeLlamaStack) -> None:
    """Its real size would be unknown until it is in memory."""
    error = get_failure(server, answer(200, b"x", Content_Encoding="gzip"))

    assert isinstance(error, RefusedError)
    assert "compressed" in str(error)
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", "Identity", " IDENTITY ", "", " ", "identity, identity", ","])
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_may_say_that_it_is_not_compressed(server: FakeLlamaStack, encoding: str, status: int) -> None:
    server.fault(f"GET {PATH}", answer(status, {"detail": "as it is"}, Content_Encoding=encoding))
    client = http(server.url)

    if status == 200:
        assert client.get(PATH) == {"detail": "as it is"}
    else:
        assert str(failure(lambda: client.get(PATH))).endswith("as it is")


@pytest.mark.parametrize("encoding", ["identity, gzip", "br", "x-unknown"])
def test_any_other_encoding_is_refused(server: FakeLlamaStack, encoding: str) -> None:
    assert "compressed" in str(get_failure(server, answer(200, b"x", Content_Encoding=encoding)))


def test_an_answer_of_too_many_values_is_refused(server: FakeLlamaStack) -> None:
    """Its objects would take thirty times its size."""
    size = MAX_ANSWER_BYTES // 3 - 100
    server.fault(f"GET {PATH}", answer(200, b'{"data": [' + b"{}," * size + b"{}]}"))
    error = failure(lambda: http(server.url).get(PATH))

    assert isinstance(error, RefusedError)
    assert ": response over 32 MiB in memory; probably not LlamaStack" in str(error)


@pytest.mark.parametrize(
    "unit",
    [
        b"{},",
        b"[],",
        b"1.5,",
        b"999,",
        b'"ab",',
        b'{"a":1},',
        b"[[1]],",
        b'{"a":{"b":[1.5,"x","yz"]}},',
        b'{"aa":1,"bb":2,"cc":3,"dd":4,"ee":5,"ff":6},',
        '"\U0001f600a",'.encode(),
    ],
)
def test_an_answer_takes_no_more_memory_than_expected(unit: bytes) -> None:
    """In whatever shape it comes."""
    content = b"[" + unit * 20_000 + b"0]"
    tracemalloc.start()
    try:
        json.loads(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak <= memory(content)


def test_a_long_repr_is_not_read_to_its_end(capfd: pytest.CaptureFixture[str]) -> None:
    """Nor does a text that looks like Python write warnings into the log."""
    told = "{'errors': [{'loc': ('body', 'a[b]'), 'msg': \"it's 1if 1else wrong\"}, " + "1if 1else 1, " * 14_000

    assert error_text(json.dumps({"detail": told}).encode()) == "body.a[b]: it's 1if 1else wrong"
    assert error_text(json.dumps({"detail": "{'errors': [" + "1if 1else 1, " * 14_000}).encode()).endswith("…")
    assert capfd.readouterr().err == ""


def test_a_huge_answer_is_refused(server: FakeLlamaStack) -> None:
    """The hook has a memory limit of its own to keep."""
    server.fault(f"GET {PATH}", answer(200, b" " * (MAX_ANSWER_BYTES + 1)))
    error = failure(lambda: http(server.url).get(PATH))

    assert isinstance(error, RefusedError)
    assert ": response over 16 MiB; probably not LlamaStack: check LLAMA_STACK_URL" in str(error)


@pytest.mark.parametrize(
    "location", ["http://[bad", "/login", "//x", "http://host:port/", "http://user:pw@ok.example/x"]
)
def test_any_redirect_is_a_refusal(server: FakeLlamaStack, location: str) -> None:
    """Wherever it leads, even nowhere, and without the credentials in it."""
    error = get_failure(server, answer(302, b"x" * 100, Location=location))

    assert isinstance(error, RefusedError)
    assert "answered 302, a redirect" in str(error)
    assert "pw" not in str(error)


def test_a_denial_by_a_login_page_says_so(server: FakeLlamaStack) -> None:
    """OpenShift's OAuth proxy answers 403 with a page to log in."""
    error = get_failure(server, answer(403, b"<html>Log in</html>", Content_Type="text/html"))

    assert str(error) == (
        f"GET {PATH} answered 403: a login page is in front of LlamaStack; use the Service's own URL in LLAMA_STACK_URL"
    )


def test_a_compressed_error_is_an_error(server: FakeLlamaStack) -> None:
    """Its status says enough."""
    error = get_failure(server, answer(503, b"x", Content_Encoding="gzip"))

    assert isinstance(error, UnavailableError)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"detail": "Model 'x' not found"}, "Model 'x' not found"),
        ({"error": {"detail": "Model 'x'"}}, "Model 'x'"),
        ({"error": {"message": "Model 'x'"}}, "Model 'x'"),
        ({"error": "Model 'x'"}, "Model 'x'"),
        ({"detail": [{"why": "é"}]}, '[{"why": "é"}]'),
        (
            {
                "error": {
                    "detail": {"errors": [{"loc": ["body", "chunking_strategy"], "msg": "Input tag", "type": "t"}]}
                }
            },
            "body.chunking_strategy: Input tag",
        ),
        (
            {
                "error": {
                    "message": "{'errors': [{'loc': ['body', 1], 'msg': 'JSON decode error'}, {'loc': [], 'msg': 'x'}]}"
                }
            },
            "body.1: JSON decode error; : x",
        ),
        ({"error": {"message": "{'errors': broken"}}, "{'errors': broken"),
        ({"error": {"message": "{'errors': [], []: 1}"}}, "{'errors': [], []: 1}"),
        ({"detail": {"errors": [{"loc": 5}]}}, '{"errors": [{"loc": 5}]}'),
        ({"message": "forbidden"}, "forbidden"),
        ({"detail": {"errors": []}}, '{"detail": {"errors": []}}'),
        ({"error": {"detail": {"errors": "many"}}}, '{"errors": "many"}'),
        ({"why": 1}, '{"why": 1}'),
        ([], "[]"),
        (b"<h1>502\r\nBad\x1b[31m Gateway</h1>", "<h1>502 Bad\\x1b[31m Gateway</h1>"),
        (b"\xff", "\ufffd"),
        (b"", "an empty answer"),
        (b"x" * 1000, "x" * 399 + "…"),
    ],
)
def test_every_shape_of_error_is_readable(body: Any, expected: str) -> None:
    """One line, without control characters, of a sane length."""
    assert error_text(body if isinstance(body, bytes) else json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, None), ("3", 3), (" 0 ", 0), ("9" * 500, 1e9), ("-5", None), ("soon", None), ("1.5", None), ("²", None)],
)
def test_retry_after_in_seconds(header: str | None, expected: float | None) -> None:
    """Nonsense is no wait, and an absurd number is no overflow."""
    assert retry_after_seconds(header) == expected


def test_retry_after_as_a_date() -> None:
    """A date in the past is no wait."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    found = retry_after_seconds(later)

    assert found is not None
    assert 90 < found <= 100
    assert retry_after_seconds("Fri, 01 Jan 1999 00:00:00 GMT") == 0


@pytest.mark.parametrize(
    "content",
    [
        b"\x01" * (15 * 2**20),
        b"x " * (7 * 2**20),
        b'{"detail": "' + b"\\u0001" * (2 * 2**20) + b'"}',
        json.dumps({"detail": "{'errors': [" + "[], " * (3 * 2**20) + "]}"}).encode(),
    ],
    ids=["control", "spaces", "escaped", "python"],
)
def test_a_large_error_is_cut_before_it_is_cleaned(content: bytes) -> None:
    """What is shown of it is a line, and the budget must not go into the rest."""
    steps = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal steps
        steps += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        shown = error_text(content)
    finally:
        sys.setprofile(None)

    assert len(shown) == 400
    assert shown.endswith("…")
    assert steps < 100_000


def test_a_secret_at_the_edge_of_what_is_looked_at_is_masked() -> None:
    """Half of it would be a secret that nobody recognizes any more."""
    keep_out("s3cr3t-s3cr3t")
    try:
        shown = [one_line(" " * space + "s3cr3t-s3cr3t" + "x" * 500, 10) for space in range(180, 202)]
    finally:
        forget()

    assert [line for line in shown if "s3" in line] == []


def test_a_text_that_begins_with_much_space_says_that_it_goes_on() -> None:
    """It is not looked at to its end."""
    assert one_line(" " * 500 + "x", 10) == "…"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Sun, 29 Nov 2026 12:58:12 GMT", 1_795_957_092.0),
        ("Sun, 29 Nov 2026 12:58:12 +0000", None),
        ("Sun, 29 Nov 2026 12:58:12 GMT, Sun, 29 Nov 2026 14:58:12 GMT", None),
        ("Sun, 99 Nov 2026 12:58:12 GMT", None),
        ("1795957092", None),
        ("", None),
        (None, None),
    ],
)
def test_the_server_s_clock_is_read_only_where_it_is_one(header: str | None, seconds: float | None) -> None:
    headers = {} if header is None else {"Date": header}

    assert Answer("GET /", 200, headers, b"", False, Endpoint("http://stack")).date == seconds
