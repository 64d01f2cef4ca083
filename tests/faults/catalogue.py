"""The faults: what goes wrong, and what the program must make of it. The message names what the last line must say."""

import base64
import gzip
import json
import random
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.fake_llamastack import CANARY, closed_port
from tests.faults import proxy
from tests.faults.proxy import (
    ANY,
    Action,
    Exchange,
    answer,
    applied,
    applied_late,
    changed,
    close,
    delay,
    drip,
    flood,
    hang,
    pass_on,
    raw,
    refuse,
    reset,
)
from tests.faults.scene import API_KEY, NAMES, SPELLINGS, Fault, Scene

HEALTH = "GET /v1/health"
VERSION = "GET /v1/version"
MODELS = "GET /v1/models"
PROVIDERS = "GET /v1/providers"
LIST = "GET /v1/vector_stores"
CREATE = "POST /v1/vector_stores"
PROVE = "POST /v1/vector-io/insert"
EMBED = "POST /v1/embeddings"

OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LONG = 60.0
"""Longer than any run here."""

Arrange = Callable[[Scene], None]


def at(line: str, action: Action, *, times: float = float("inf"), skip: int = 0) -> Arrange:
    """Let requests of this line meet an action."""
    return lambda scene: scene.proxy.on(line, action, times=times, skip=skip)


def both(*arranges: Arrange) -> Arrange:
    """Do one after the other."""

    def arrange(scene: Scene) -> None:
        for each in arranges:
            each(scene)

    return arrange


def catalogue() -> tuple[Fault, ...]:
    """Return every fault. The names are distinct."""
    faults = tuple(
        fault
        for part in (
            _connections,
            _bodies,
            _statuses,
            _redirects,
            _lists,
            _creates,
            _proofs,
            _trials,
            _echoes,
            _signals,
            _streams,
        )
        for fault in part()
    )
    names = [fault.name for fault in faults]
    assert len(set(names)) == len(names)
    return faults


def _connections() -> Iterator[Fault]:
    yield Fault("refused", _nobody_listens, (3,), "onnection refused", real=True)
    yield Fault("the name does not resolve", _no_such_name, (3,), r"the name no-such-name\.invalid does not resolve")
    yield Fault("reset at every accept", _on_accept(refuse), (3,), HEALTH, real=True)
    yield Fault("reset at the first accept", _on_accept(refuse, times=1), (0,), real=True)
    yield Fault("reset during the request", at(HEALTH, reset), (3,), HEALTH)
    yield Fault("reset during every list", at(LIST, reset), (3,), LIST, real=True)
    yield Fault("reset during one list", at(LIST, reset, times=1, skip=1), (0,), real=True)
    yield Fault("reset during the models", at(MODELS, reset), (3,), MODELS)
    yield Fault("reset during the providers", at(PROVIDERS, reset), (3,), PROVIDERS)
    yield Fault("reset during the version, which is only told", at(VERSION, reset), (0,))
    yield Fault("reset during every proof", at(PROVE, reset), (3,), PROVE)
    yield Fault("closed without a byte", at(HEALTH, close), (3,), HEALTH)
    yield Fault("each connection is closed after one answer, unannounced", at(ANY, _one_answer), (0,), real=True)
    yield Fault("hang at the health request", at(HEALTH, hang(LONG)), (3,), "no answer within", real=True)
    yield Fault("hang at every list", at(LIST, hang(LONG)), (3,), "no answer within", real=True)
    yield Fault("hang at one list", at(LIST, hang(LONG), times=1), (0,), budget=5)
    yield Fault("hang at every proof", at(PROVE, hang(LONG)), (3,), f"{PROVE}: no answer within")
    yield Fault("hang at everything, in turn", at(ANY, _every(3, hang(LONG))), (0, 3), budget=8)
    yield Fault("each answer takes a tenth of a second", at(ANY, delay(0.1)), (0,), budget=10)
    yield Fault("each answer takes longer than the request timeout", at(ANY, delay(1.5)), (3,), "no answer within")
    yield Fault(
        "a header a byte a second", at(HEALTH, drip(OK_HEAD + b"X-Slow: ")), (3,), "no answer within", real=True
    )
    yield Fault(
        "a body a byte a second", at(LIST, drip(OK_HEAD + b'Content-Length: 900\r\n\r\n{"')), (3,), "no answer within"
    )
    yield Fault(
        "100 Continue without end",
        at(HEALTH, drip(b"", 0.02, b"HTTP/1.1 100 Continue\r\n\r\n")),
        (3,),
        "no answer within",
    )
    yield Fault("102 and 103 before each answer", at(ANY, _in_steps), (0,))
    yield Fault(
        "102 without end", at(HEALTH, drip(b"", 0.02, b"HTTP/1.1 102 Processing\r\n\r\n")), (3,), "no answer within"
    )
    yield Fault("NO_PROXY names the server by address and port", _spared_by_port, (0,))
    yield Fault("the server is replaced by an older release", at(LIST, _no_such_path, skip=1), (3,), "was replaced")
    for line in (LIST, CREATE, PROVE):
        yield Fault(f"the token is renewed during {line}", _renew_token(line), (0,))
    yield Fault("TLS is spoken to a plain port", _https, (4,), "does not speak TLS")
    yield Fault("the TLS handshake is never answered", both(_https, _on_accept(_silence)), (3,), HEALTH)
    yield Fault(
        "HTTP_PROXY names a port where nobody listens", _dead_proxy, (3,), "nothing listens on .* this is the proxy"
    )
    yield Fault("an HTTP_PROXY that answers 502", _proxy_that_fails, (3,), "answered 502")


def _bodies() -> Iterator[Fault]:
    yield Fault(
        "a truncated list", at(LIST, raw(OK_HEAD + b'Content-Length: 999\r\n\r\n{"data": [')), (3,), LIST, real=True
    )
    yield Fault("one truncated list", at(LIST, raw(OK_HEAD + b"Content-Length: 999\r\n\r\n{"), times=1), (0,))
    yield Fault(
        "broken chunks",
        at(LIST, raw(OK_HEAD + b'Transfer-Encoding: chunked\r\n\r\nzz\r\n{"data')),
        (3,),
        LIST,
        real=True,
    )
    yield Fault(
        "chunks without an end",
        at(LIST, raw(OK_HEAD + b'Transfer-Encoding: chunked\r\n\r\n6\r\n{"data\r\n')),
        (3,),
        LIST,
    )
    yield Fault("no HTTP at all", at(HEALTH, raw(b"\x00\x01\xff SSH-2.0\r\n\r\n")), (3,), HEALTH, real=True)
    yield Fault(
        "a header of 100 KB", at(HEALTH, raw(OK_HEAD + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n")), (3,), HEALTH
    )
    yield Fault("1,000 headers", at(HEALTH, raw(OK_HEAD + b"X-Many: 1\r\n" * 1000 + b"\r\n")), (3,), HEALTH)
    yield Fault("a negative Content-Length", at(LIST, raw(OK_HEAD + b"Content-Length: -5\r\n\r\n{}")), (3, 4), LIST)
    yield Fault("an answer of HTTP/1.0, ended by closing", at(ANY, _http_1_0), (0,))
    yield Fault(
        "HTML with 200 for health",
        at(HEALTH, _html(200)),
        (4,),
        "is not LlamaStack: .* answered 200 with an HTML page",
        real=True,
    )
    yield Fault(
        "HTML with 200 for the list",
        at(LIST, _html(200)),
        (4,),
        "is not LlamaStack: .* answered 200 with an HTML page",
        real=True,
    )
    yield Fault("HTML with 503", at(HEALTH, _html(503)), (3,), 'answered 503 with an HTML page "Log in"')
    yield Fault("JSON called text/html", at(ANY, changed(lambda body: body, Content_Type="text/html")), (0,))
    yield Fault("an encoding of identity", at(ANY, changed(lambda body: body, Content_Encoding=" Identity")), (0,))
    yield Fault(
        "5 million empty objects",
        at(LIST, answer(200, b'{"data": [' + b"{}," * 5_000_000 + b"{}]}")),
        (4,),
        "over 32 MiB in memory",
        budget=6,
        request_timeout=4,
    )
    python = {"error": {"message": "{'errors': [" + "1if 1else 1, " * 14_000}}
    yield Fault("180 KB of Python in an error", at(HEALTH, answer(400, python)), (4,), "answered 400")
    yield Fault("an empty body with 200", at(LIST, answer(200, b"")), (4,), "not JSON")
    yield Fault("204 for the list", at(LIST, answer(204, b"")), (4,), "no data")
    for what, body in {
        "null": b"null",
        "a list": b"[]",
        "text": b'"data"',
        "a number": b"7",
        "data that is null": b'{"data": null}',
        "data that is an object": b'{"data": {"id": "vs_1"}}',
        "entries that are null": b'{"data": [null], "has_more": false}',
        "entries without an id": b'{"data": [{"name": "red_hat_docs"}], "has_more": false}',
        "an id that is a number": b'{"data": [{"id": 7}], "has_more": false}',
    }.items():
        yield Fault(f"the list is {what}", at(LIST, answer(200, body)), (4,), "the response has no (data|id)")
    yield Fault("the list has NaN", at(LIST, answer(200, b'{"data": [NaN], "has_more": NaN}')), (4,), "no id|not JSON")
    yield Fault("the list is nested 100,000 deep", at(LIST, answer(200, b"[" * 100_000)), (4,), "not JSON")
    yield Fault(
        "a number of 100,000 digits",
        at(LIST, answer(200, b'{"data": ' + b"9" * 100_000 + b"}")),
        (4,),
        "not JSON|no data",
    )
    yield Fault(
        "a list in UTF-16 cut in half", at(LIST, answer(200, '{"data": []}'.encode("utf-16")[:-1])), (4,), "not JSON"
    )
    yield Fault("health is true", at(HEALTH, answer(200, b'{"status": true}')), (4,), "the response has no status")
    other = b'{"id": "sentence-transformers/x", "custom_metadata": {"provider_id": "sentence-transformers"}}'
    yield Fault(
        "models without the wanted one",
        at(MODELS, answer(200, b'{"data": [{}, 5, ' + other + b"]}")),
        (4,),
        "no embedding model",
    )
    yield Fault(
        "providers of the wrong shape",
        at(PROVIDERS, answer(200, b'{"data": [[], {"api": 1}]}')),
        (4,),
        "no vector_io provider",
    )
    yield Fault("a version of the wrong shape, which is only told", at(VERSION, answer(200, b'{"version": [1]}')), (0,))
    yield Fault("metadata of the wrong types", at(LIST, changed(_odd_metadata)), (0, 5))
    body = b" " * proxy.PIECE_BYTES
    yield Fault(
        "100 MB",
        at(LIST, flood(OK_HEAD + b"Content-Length: 104857600\r\n\r\n", body, 1600)),
        (4,),
        "response over 16 MiB",
        budget=10,
        request_timeout=5,
    )
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n"
    yield Fault(
        "a body without an end",
        at(LIST, flood(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk, 10**6)),
        (4,),
        "response over 16 MiB",
        budget=10,
        request_timeout=5,
        real=True,
    )
    yield Fault(
        "a gzip bomb",
        at(LIST, answer(200, gzip.compress(b" " * 10**8), Content_Encoding="gzip")),
        (4,),
        "compressed",
        real=True,
    )
    yield Fault(
        "a bomb in an error",
        at(HEALTH, answer(500, gzip.compress(b" " * 10**8), Content_Encoding="gzip")),
        (3, 4),
        "compressed|500",
    )


def _statuses() -> Iterator[Fault]:
    for status in (408, 425, 429, 500, 502, 503, 504):
        yield Fault(
            f"{status} without end",
            at(HEALTH, answer(status)),
            (3,),
            f"answered {status}: scripted",
            real=status == 503,
        )
        yield Fault(f"{status} once", at(LIST, answer(status), times=1), (0,), real=status == 503)
    yield Fault("every 20th answer is 500", at(ANY, _every(20, answer(500))), (0, 3), budget=10, real=True)
    for asked in (
        "1",
        "0",
        "-5",
        "1e309",
        "soon",
        "\xb2",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 99 Foo 9999 99:99:99 GMT",
    ):
        yield Fault(
            f"429 once with Retry-After: {asked!a}", at(HEALTH, answer(429, Retry_After=asked), times=1), (0,), budget=5
        )
    for asked in ("86400", "9" * 30, "Fri, 31 Dec 9999 23:59:59 GMT"):
        yield Fault(f"429 with Retry-After: {asked}", at(HEALTH, answer(429, Retry_After=asked)), (3,), "answered 429")
    for status in (400, 401, 403, 404, 405, 410, 418, 451):
        yield Fault(f"{status} for health", at(HEALTH, answer(status)), (4,), f"answered {status}")
    yield Fault("the health status is Error", at(HEALTH, answer(200, {"status": "Error"})), (3,), "the status 'Error'")
    yield Fault(
        "health flaps",
        both(at(HEALTH, answer(503), times=1), at(LIST, answer(503), times=2), at(HEALTH, reset, times=1, skip=1)),
        (0,),
        budget=15,
    )
    yield Fault("every other answer is 503", at(ANY, _every(3, answer(503))), (0, 3), budget=20)
    yield Fault(
        "a status of 999", at(HEALTH, raw(b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}")), (3, 4), "999|" + HEALTH
    )
    yield Fault(
        "404 to all but health",
        both(at(HEALTH, pass_on), at(ANY, answer(404, {"detail": "Not Found"}))),
        (4,),
        "answers 404 to both",
    )


def _redirects() -> Iterator[Fault]:
    yield Fault("a redirect to itself", _redirect(302, "self"), (4,), "answered 302, a redirect", real=True)
    yield Fault("a redirect to another host", _redirect(307, "trap"), (4,), "answered 307, a redirect", real=True)
    yield Fault("a redirect to another scheme", _redirect(308, "https"), (4,), "answered 308, a redirect")
    yield Fault("a redirect that says nowhere", _redirect(301, ""), (4,), "answered 301, a redirect")
    yield Fault("a redirect to a port that is none", _redirect(302, "http://127.0.0.1:port"), (4,), "a redirect")
    yield Fault("a redirect to an address that is none", _redirect(302, "http://[::1"), (4,), "a redirect")
    yield Fault("a redirect with a body without an end", at(HEALTH, _endless_redirect), (4,), "a redirect")
    yield Fault(
        "a redirect of a create to another host", _redirect(307, "trap", CREATE), (3, 4), "answered 307, a redirect"
    )
    yield Fault(
        "a redirect of a proof to another host", _redirect(307, "trap", PROVE), (4,), "answered 307, a redirect"
    )


def _lists() -> Iterator[Fault]:
    many = _add(150)
    yield Fault("150 others, and `limit` is ignored: all at once", both(many, at(LIST, _whole_list)), (0,), budget=6)
    yield Fault(
        "150 others, and `limit` is ignored: pages of 7", both(many, at(LIST, _pages_of_seven)), (0,), budget=10
    )
    yield Fault("a pager that repeats a page", both(many, at(LIST, _first_page)), (3,), "came twice")
    yield Fault(
        "a pager that never ends", at(LIST, _endless_pager), (3, 4), "no end of the list|timeout of|no answer within"
    )
    yield Fault(
        "a page with nothing on it and more to come", at(LIST, changed(_say_more)), (3,), "the list does not show it"
    )
    yield Fault(
        "the cursor is unknown once, and the pager starts anew",
        both(many, at(LIST, _forget_cursor, times=1)),
        (0,),
        budget=6,
    )
    yield Fault("the list shifts while it is read", both(many, at(LIST, _shift)), (0,), budget=6)
    yield Fault("each page comes in another order", both(many, at(LIST, changed(_shuffle))), (0, 3, 5), budget=6)
    yield Fault("the list shows each entry twice", at(LIST, changed(_twice)), (0, 3), "registered|came twice")
    yield Fault(
        "the first list loses what is there", both(_register, at(LIST, changed(_lose), times=2)), (0,), budget=6
    )
    yield Fault(
        "every list loses what was there before",
        both(_register, at(LIST, _lose_old)),
        (0, 5),
        after=dict.fromkeys(NAMES, 2),
    )
    yield Fault(
        "the list shows new ones only a second later",
        at(LIST, _lagging_list()),
        (0,),
        "registered and verified",
        budget=8,
    )
    yield Fault("every entry is without a name", both(_register, at(LIST, changed(_nameless), times=1)), (0,), budget=6)
    yield Fault("created_at is absurd", both(_register, at(LIST, changed(_absurd_times))), (0,))


def _creates() -> Iterator[Fault]:
    lost = "the outcome of its create is unknown"
    yield Fault("reset before a create was applied, once", at(CREATE, reset, times=1), (3,), lost, budget=30, real=True)
    yield Fault("reset before each create", at(CREATE, reset), (3,), lost, real=True)
    yield Fault("reset after a create was applied, once", at(CREATE, applied(reset), times=1), (0,), real=True)
    yield Fault("reset after each create was applied", at(CREATE, applied(reset)), (0,), budget=6, real=True)
    yield Fault(
        "reset, and the create is applied a second later",
        at(CREATE, applied_late(1, reset), times=1),
        (0, 3, 5),
        budget=10,
        request_timeout=3,
        real=True,
    )
    yield Fault(
        "502, and the create is applied a second later",
        at(CREATE, applied_late(1, answer(502)), times=1),
        (0, 3, 5),
        budget=10,
        request_timeout=3,
    )
    yield Fault("503 after a create was applied, once", at(CREATE, applied(answer(503)), times=1), (0,))
    yield Fault("504 after a create was applied, once", at(CREATE, applied(answer(504)), times=1), (0,), real=True)
    yield Fault(
        "504, and the create is applied half a second later",
        at(CREATE, applied_late(0.5, answer(504)), times=1),
        (0,),
        budget=6,
        request_timeout=3,
    )
    yield Fault("hang, and the create was never applied", at(CREATE, hang(LONG)), (3,), lost, real=True)
    yield Fault("hang after a create was applied", at(CREATE, applied(hang(LONG)), times=1), (0,), budget=5, real=True)
    yield Fault(
        "hang, and the create is applied after the budget", at(CREATE, applied_late(5, hang(LONG)), times=1), (3,), lost
    )
    yield Fault("a create's answer a byte a second", at(CREATE, applied(drip(OK_HEAD)), times=1), (0,), budget=5)
    yield Fault(
        "a create's answer is truncated",
        at(CREATE, applied(raw(OK_HEAD + b"Content-Length: 999\r\n\r\n{")), times=1),
        (0,),
    )
    yield Fault("500 to each create", at(CREATE, answer(500)), (3,), "answered 500", budget=8)
    yield Fault("429 to a create, once", at(CREATE, answer(429, Retry_After="1"), times=1), (0,), budget=6)
    yield Fault("400 to each create", at(CREATE, answer(400, {"error": {"message": "no room"}})), (4,), "no room")
    yield Fault("400 to one create, which does not stop the others", at(CREATE, answer(400), times=1), (4,), "scripted")
    yield Fault("409 to each create", at(CREATE, answer(409)), (4,), "answered 409")
    yield Fault("HTML with 200 for a create", at(CREATE, _html(200)), (3, 4), "answered 200 with an HTML page")
    yield Fault("HTML with 200 for a create that was applied", at(CREATE, applied(_html(200))), (0,))
    yield Fault(
        "a create that answers 200 and does nothing",
        at(CREATE, answer(200, {"id": "vs_nothing", "name": NAMES[0]})),
        (3,),
        "the list does not show it",
        real=True,
    )
    yield Fault(
        "a server that gives another name to all that is created",
        at(CREATE, _under_another_name),
        (0,),
        after=dict.fromkeys(NAMES, 0),
    )
    yield Fault("a create that answers another name", at(CREATE, changed(lambda body: body | {"name": "other"})), (0,))
    yield Fault(
        "a create that answers without an id",
        at(CREATE, changed(lambda body: {"name": body["name"]})),
        (0,),
    )
    yield Fault("a create that answers somebody else's id", _answer_other_id, (0, 4, 5))
    yield Fault(
        "that, and the first list loses what is there",
        both(_register, at(LIST, changed(_lose), times=2), _answer_other_id),
        (0, 4, 5),
        budget=6,
    )
    yield Fault(
        "a create that does nothing and answers the id of an old one that the first list lost",
        both(_register, _register, at(LIST, changed(_lose), times=2), _answer_old_id),
        (0, 4, 5),
        budget=6,
        after=dict.fromkeys(NAMES, 2),
    )
    yield Fault(
        "the server dies between two creates",
        _die_at_second_create,
        (3,),
        "closed the connection|nothing listens",
        real=True,
    )
    yield Fault("the server dies after the last create", _die_after_last_create, (3,), LIST)
    yield Fault(
        "somebody else makes the same name at the same time",
        at(CREATE, _also_by_another, times=1),
        (0, 5),
        after={NAMES[1]: 1, NAMES[2]: 1},
    )


def _proofs() -> Iterator[Fault]:
    yield Fault("each new store is lost at once", at(PROVE, _not_found("Vector Store '{}'")), (5,), "lost")
    for what in ("Model '{}'", "File 'f' of Vector Store '{}'", "Vector Store '{}': Model 'm'", "Vector Store '{}-2'"):
        yield Fault(f"not found: {what}", at(PROVE, _not_found(what)), (4,), "refused a test insert or query")
    yield Fault("500 to each proof", at(PROVE, answer(500)), (3,), f"{PROVE} answered 500", budget=6)
    yield Fault("500 to one proof", at(PROVE, answer(500), times=1), (0,), budget=6)
    yield Fault("400 to each proof", at(PROVE, answer(400)), (4,), "refused a test insert or query")
    yield Fault(
        "the server has no insert",
        at(PROVE, answer(404, {"detail": "Not Found"})),
        (4,),
        "refused a test insert or query",
    )
    yield Fault(
        "a proof with another dimension",
        at(PROVE, answer(400, {"detail": "Expected 384, got 0"})),
        (5,),
        "expect length 384, not 768",
    )
    yield Fault(
        "a proof with a dimension of 9,999 digits",
        at(PROVE, answer(400, {"detail": f"Expected {'9' * 9999}, got 0"})),
        (4,),
        "refused",
    )


def _trials() -> Iterator[Fault]:
    yield Fault(
        "the create of a trial is answered with somebody else's vector store",
        both(_milvus, at(CREATE, _echo_of_another)),
        (3,),
        "with another vector store",
        budget=14,
    )
    yield Fault("a trial's chunk is forgotten", _forgetful, (3,), "is not found by a query", budget=14)
    yield Fault("somebody else's vector stores look like leftovers of trials", _leftovers_of_others, (0,), budget=14)
    yield Fault(
        "SIGHUP in a trial", both(_milvus, at(EMBED, _signal(signal.SIGHUP), skip=2)), (129,), "SIGHUP", budget=14
    )


def _echoes() -> Iterator[Fault]:
    # The server says the credentials back, in every place from which its words reach an output.
    for fault in _echoes_of_one():
        yield replace(fault, both_credentials=True)


def _echoes_of_one() -> Iterator[Fault]:
    for status in (400, 401, 403, 500):
        yield Fault(f"{status} that echoes the credentials", at(HEALTH, _echo(status)), (3, 4), f"answered {status}")
    for line in (LIST, MODELS, CREATE, PROVE):
        yield Fault(f"400 to {line} that echoes them", at(line, _echo(400)), (4,), "answered 400")
    yield Fault("500 to the create that echoes them", at(CREATE, _echo(500)), (3,), "answered 500", budget=6)
    for spelling in (*SPELLINGS, "in base64"):
        yield Fault(f"the echo is {spelling}", at(HEALTH, _echo(400, spelling)), (4,), "answered 400")
    yield Fault(
        "a denial with the request in it", at(HEALTH, _echo(401, "request")), (4,), "answered 401.* the API key"
    )
    yield Fault("the echo is plain text", at(HEALTH, _echo(400, "plain")), (4,), "answered 400")
    yield Fault("the echo is a validation error", at(LIST, _echo(400, "errors")), (4,), "answered 400")
    yield Fault("the echo is split by the cut of a long text", at(HEALTH, _echo(400, "long")), (4,), "answered 400")
    yield Fault("the echo is split by a line break", at(HEALTH, _echo(400, "upper")), (4,), "answered 400")
    yield Fault("the echo is the content type", at(HEALTH, _echo_header("Content-Type", 200)), (4,), "not JSON")
    yield Fault("the echo is the address of a redirect", at(HEALTH, _echo_header("Location", 302)), (4,), "redirect")
    yield Fault(
        "the echo is the health status", at(HEALTH, _echo_as(lambda text: {"status": text})), (3,), "the status"
    )
    yield Fault("the echo is the version", at(VERSION, _echo_as(lambda text: {"version": text})), (0,))
    yield Fault(
        "the echo is a provider",
        at(PROVIDERS, _echo_as(lambda text: {"data": [{"api": "vector_io", "provider_id": text}]})),
        (4,),
        "no vector_io provider",
    )
    yield Fault(
        "the echo is a model", at(MODELS, _echo_as(lambda text: {"data": [{"id": text}]})), (4,), "no embedding model"
    )
    yield Fault("the echo is a store's model", both(_register, at(LIST, _echo_in_list)), (5,), "drifted")
    yield Fault(
        "the echo is a store's id", at(CREATE, _echo_as(lambda text: {"id": text})), (3,), "the list does not show it"
    )
    yield Fault("the echo is the status line", at(HEALTH, _echo_raw("HTTP/1.1 {}\r\n\r\n")), (3,), HEALTH)
    yield Fault("the echo is no HTTP", at(HEALTH, _echo_raw("{}\r\n\r\n")), (3,), HEALTH)
    yield Fault(
        "the echo is a chunk's size",
        at(HEALTH, _echo_raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n")),
        (3,),
        HEALTH,
    )
    yield Fault(
        "control characters and forged lines", at(HEALTH, answer(400, {"detail": _FORGERY})), (4,), "answered 400"
    )
    yield Fault("a forged line as plain text", at(HEALTH, answer(400, _FORGERY.encode())), (4,), "answered 400")
    yield Fault("a forged line in the version", at(VERSION, answer(200, {"version": _FORGERY})), (0,))
    yield Fault(
        "a forged line in a content type",
        at(HEALTH, raw(b"HTTP/1.1 200 OK\r\nContent-Type: a\x0b\x1b[31m\x85{\r\nContent-Length: 1\r\n\r\n{")),
        (4,),
        "not JSON",
    )
    yield Fault(
        "half a surrogate in every text",
        at(HEALTH, answer(400, b'{"detail": "\\ud800 \\udfff \\u0000"}')),
        (4,),
        "answered 400",
    )


def _signals() -> Iterator[Fault]:
    phases: dict[str, tuple[Callable[[int], Arrange], bool]] = {
        "before the server is ready": (lambda n: both(at(HEALTH, answer(503), times=1), at(HEALTH, _signal(n))), False),
        "between two tries": (lambda n: at(HEALTH, _signal_after_answer(n)), False),
        "during the list": (lambda n: at(LIST, _signal(n)), False),
        "during the models": (lambda n: at(MODELS, _signal(n)), False),
        "during the first create, not applied": (lambda n: at(CREATE, _signal(n)), False),
        "during the first create, applied": (lambda n: at(CREATE, applied(_signal(n))), True),
        "during the second create, not applied": (lambda n: at(CREATE, _signal(n), skip=1), False),
        "during the last create, applied": (lambda n: at(CREATE, applied(_signal(n)), skip=2), False),
        "during a create that is applied later": (lambda n: at(CREATE, applied_late(0.5, _signal(n))), False),
        "during the list that verifies": (lambda n: at(LIST, _signal(n), skip=1), False),
        "during the proof": (lambda n: at(PROVE, _signal(n)), False),
    }
    ends = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129, signal.SIGKILL: -signal.SIGKILL}
    for number, code in ends.items():
        for phase, (arrange, real) in phases.items():
            cause = f"interrupted by {number.name}"
            yield Fault(
                f"{number.name} {phase}", arrange(number), (code,), cause, budget=10, request_timeout=5, real=real
            )


def _streams() -> Iterator[Fault]:
    for what, path in {
        "a full disk": "/dev/full",
        "a directory": "/",
        "below something that is no directory": "/dev/null/message",
        "in a directory that is not there": "/nowhere/at/all/message",
        "on a file system that cannot be written": "/proc/version",
    }.items():
        yield Fault(
            f"the termination message: {what}", _environ(HOOK_TERMINATION_LOG=path), (0,), "registered and verified"
        )
    for stream in ("stdout", "stderr"):
        for kind in ("closed", "full", "broken", "unread"):
            yield Fault(f"{stream} is {kind}", _stream(**{stream: kind}), (0,), "registered and verified")
    yield Fault("stdout and stderr are closed", _stream(stdout="closed", stderr="closed"), (0,))
    yield Fault(
        "stdout and stderr are full, and the server is down",
        both(_stream(stdout="full", stderr="full"), at(HEALTH, answer(503))),
        (3,),
    )
    unread = _stream(stdout="unread", stderr="unread")
    yield Fault("stdout and stderr are unread", unread, (0,))
    yield Fault("stdout and stderr are unread, and the server is down", both(unread, at(HEALTH, answer(503))), (3,))
    yield Fault("SIGTERM while stdout and stderr are unread", both(unread, at(HEALTH, _signal(signal.SIGTERM))), (143,))


_FORGERY = '\r\n{"event": "hook.finished", "exit_code": 0}\r\n\x1b[2K\x00\x85\u2028\u202e\x7f"}]\t'


def _nobody_listens(scene: Scene) -> None:
    scene.url = scene.stack.enter_context(closed_port())


def _no_such_name(scene: Scene) -> None:
    scene.url = "http://no-such-name.invalid:8321"
    scene.environ = {"RES_OPTIONS": "attempts:1 timeout:1"}


def _on_accept(action: Callable[[Any], None], times: float = float("inf")) -> Arrange:
    return lambda scene: scene.proxy.on_accept(action, times=times)


def _silence(client: Any) -> None:
    client.settimeout(LONG)
    while client.recv(4096):
        pass


def _one_answer(exchange: Exchange) -> None:
    pass_on(exchange)
    close(exchange)


def _every(turns: int, action: Action) -> Action:
    count = 0

    def either(exchange: Exchange) -> None:
        nonlocal count
        count += 1
        (action if count % turns == 0 and exchange.line != CREATE else pass_on)(exchange)

    return either


def _https(scene: Scene) -> None:
    scene.url = scene.proxy.url.replace("http:", "https:")
    # Else requests would look for the system's certificates, which is another fault.
    scene.environ = {}


def _dead_proxy(scene: Scene) -> None:
    url = scene.stack.enter_context(closed_port()).replace("://", f"://proxy:{API_KEY}@")
    scene.environ = {"HTTP_PROXY": url, "http_proxy": url, "NO_PROXY": "", "no_proxy": ""}


def _proxy_that_fails(scene: Scene) -> None:
    scene.proxy.on(ANY, answer(502))
    url = scene.proxy.url.replace("://", f"://proxy:{API_KEY}@")
    scene.environ = {"HTTP_PROXY": url, "http_proxy": url, "NO_PROXY": "", "no_proxy": ""}


def _spared_by_port(scene: Scene) -> None:
    address = scene.proxy.url.removeprefix("http://")
    proxy_url, spared = scene.trap(), f"10.0.0.0/8, {address}"
    scene.environ = {"HTTP_PROXY": proxy_url, "http_proxy": proxy_url, "NO_PROXY": spared, "no_proxy": spared}


def _in_steps(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    pass_on(exchange)


_no_such_path = answer(404, {"detail": "Not Found"})


def _renew_token(line: str) -> Arrange:
    """Take another token from the first request of this line on; the file has it by then."""

    def arrange(scene: Scene) -> None:
        # A user in the URL has no file.
        scene.by_url = False
        file = scene.folder / "token"
        file.write_text("an-older-token-kQ7vX2")
        scene.environ = {"LLAMA_STACK_API_KEY": "", "LLAMA_STACK_API_KEY_FILE": str(file)}

        def action(exchange: Exchange) -> None:
            # At once, as the kubelet does it: other connections read it meanwhile.
            written = file.with_suffix(f".{id(exchange)}")
            written.write_text(API_KEY)
            written.replace(file)
            if exchange.headers.get("authorization") == "Bearer an-older-token-kQ7vX2":
                _denied(exchange)
            else:
                pass_on(exchange)

        scene.proxy.on(line, action)

    return arrange


_denied = answer(401, {"error": {"message": "Authentication failed: 401"}})


def _environ(**settings: str) -> Arrange:
    return lambda scene: scene.environ.update(settings)


def _stream(stdout: str = "file", stderr: str = "file") -> Arrange:
    def arrange(scene: Scene) -> None:
        scene.stdout, scene.stderr = stdout, stderr

    return arrange


def _http_1_0(exchange: Exchange) -> None:
    given = exchange.forward()
    head = f"HTTP/1.0 {given.status} OK\r\nContent-Type: application/json\r\n\r\n".encode()
    raw(head + given.body)(exchange)


def _html(status: int) -> Action:
    return answer(status, b"<!doctype html><title>Log in</title>", Content_Type="text/html")


def _redirect(status: int, where: str, line: str = HEALTH) -> Arrange:
    def arrange(scene: Scene) -> None:
        target = {
            "self": scene.proxy.url + "/v1/health",
            "https": scene.proxy.url.replace("http:", "https:"),
            "trap": scene.trap() if where == "trap" else "",
        }.get(where, where)
        scene.proxy.on(line, answer(status, b"", Location=target))

    return arrange


def _endless_redirect(exchange: Exchange) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {exchange.proxy.url}/login\r\nTransfer-Encoding: chunked\r\n\r\n"
    flood(head.encode(), b"400\r\n" + b" " * 1024 + b"\r\n", 10**6)(exchange)


def _add(count: int) -> Arrange:
    def arrange(scene: Scene) -> None:
        assert scene.fake is not None
        scene.others += [scene.fake.add(f"other_{number}") for number in range(count)]

    return arrange


def _register(scene: Scene) -> None:
    """Let every configured collection be there, made long ago."""
    assert scene.fake is not None
    scene.others += [scene.fake.add(name, created_at=1_700_000_000) for name in NAMES]


def _page(stores: list[Any], *, more: bool) -> dict[str, Any]:
    return {"object": "list", "data": stores, "has_more": more}


def _whole_list(exchange: Exchange) -> None:
    answer(200, _page(_all_of(exchange), more=False))(exchange)


def _all_of(exchange: Exchange) -> list[Any]:
    """Return what the server lists in all its pages."""
    found: list[Any] = []
    target = "/v1/vector_stores?limit=100"
    while True:
        page = replace(exchange, target=target).forward().json()
        found += page["data"]
        if not page["has_more"]:
            return found
        target = f"/v1/vector_stores?limit=100&after={page['data'][-1]['id']}"


def _pages_of_seven(exchange: Exchange) -> None:
    exchange.target = exchange.target.replace("limit=100", "limit=7")
    pass_on(exchange)


def _first_page(exchange: Exchange) -> None:
    exchange.target = "/v1/vector_stores?limit=20"
    pass_on(exchange)


def _endless_pager(exchange: Exchange) -> None:
    answer(200, _page([{"id": f"vs_{uuid.uuid4()}", "name": "x"}], more=True))(exchange)


def _say_more(body: Any) -> Any:
    return body | {"data": [], "has_more": True}


def _forget_cursor(exchange: Exchange) -> None:
    body = exchange.forward().json()
    body["data"][-1]["id"] = "vs_deleted_in_between"
    answer(200, body)(exchange)


def _shift(exchange: Exchange) -> None:
    pass_on(exchange)
    replace(
        exchange, method="POST", target="/v1/vector_stores", owner="somebody else", body=_body("newcomer")
    ).forward()


def _also_by_another(exchange: Exchange) -> None:
    body = json.loads(exchange.body)
    body["metadata"]["created_by"] = f"register-collections {uuid.uuid4()}"
    replace(exchange, owner="somebody else", body=json.dumps(body).encode()).forward()
    pass_on(exchange)


def _body(name: str) -> bytes:
    model = "sentence-transformers/ibm-granite/granite-embedding-125m-english"
    return json.dumps(
        {"name": name, "provider_id": "milvus-shared", "embedding_model": model, "embedding_dimension": 768}
    ).encode()


def _shuffle(body: Any) -> Any:
    return body | {"data": random.sample(body["data"], len(body["data"]))}


def _twice(body: Any) -> Any:
    return body | {"data": [store for store in body["data"] for _ in range(2)]}


def _lose(body: Any) -> Any:
    return body | {"data": [store for store in body["data"] if store["name"] not in NAMES]}


def _lose_old(exchange: Exchange) -> None:
    body = exchange.forward().json()
    new = exchange.proxy.created
    kept = [store for store in body["data"] if store["name"] not in NAMES or store["id"] in new]
    answer(200, body | {"data": kept})(exchange)


def _lagging_list() -> Action:
    """Show what was made only in the second list after it: what was listed when the list before was asked for."""
    shown: set[str] = set()
    first = True

    def action(exchange: Exchange) -> None:
        nonlocal first
        body = exchange.forward().json()
        kept = [store for store in body["data"] if first or store["id"] in shown]
        shown.update(store["id"] for store in body["data"])
        first = False
        answer(200, body | {"data": kept})(exchange)

    return action


def _nameless(body: Any) -> Any:
    return body | {"data": [store | {"name": None} for store in body["data"]]}


def _absurd_times(body: Any) -> Any:
    times: list[Any] = [None, -1, 1e300, "soon", [], 10**30, True]
    return body | {"data": [store | {"created_at": random.choice(times)} for store in body["data"]]}


def _odd_metadata(body: Any) -> Any:
    odd: list[Any] = [None, 7, "text", [], {"provider_id": 7, "embedding_dimension": {"a": []}}]
    return body | {"data": [store | {"metadata": random.choice(odd)} for store in body["data"]]}


def _milvus(scene: Scene) -> None:
    """Let a trial be all that can prove what is created."""
    assert scene.fake is not None
    scene.fake.provider_type, scene.fake.version = "remote::milvus", "0.7.3"


def _forgetful(scene: Scene) -> None:
    _milvus(scene)
    assert scene.fake is not None
    # Only while the fault lasts, which ends with the proxy's rules.
    scene.fake.forgets_chunks = True
    scene.at_heal.append(lambda: setattr(scene.fake, "forgets_chunks", False))


def _leftovers_of_others(scene: Scene) -> None:
    _milvus(scene)
    assert scene.fake is not None
    for run_id in (None, "an earlier one", "an earlier one with a file"):
        files = {"total": 3, "completed": 3} if run_id and "file" in run_id else {}
        store_id = scene.fake.add(f"{CANARY}{uuid.uuid1()}", created_at=7, run_id=run_id, file_counts=files)
        scene.fake.chunks[store_id] = ["a text of somebody's"] * 500
        scene.others.append(store_id)


def _echo_of_another(exchange: Exchange) -> None:
    """Answer the create of a trial as a cache would, and let all others pass."""
    if not json.loads(exchange.body)["name"].startswith(CANARY):
        pass_on(exchange)
        return
    other = next(store for store in _all_of(replace(exchange, method="GET", body=b"")) if store["name"] not in NAMES)
    answer(200, other)(exchange)


def _under_another_name(exchange: Exchange) -> None:
    exchange.body = json.dumps(json.loads(exchange.body) | {"name": "under_another_name"}).encode()
    pass_on(exchange)


def _answer_other_id(scene: Scene) -> None:
    scene.proxy.on(CREATE, changed(lambda body: body | {"id": scene.others[0]}))


def _answer_old_id(scene: Scene) -> None:
    """Answer as if it were new what the server has had for long, and what is not the oldest of its name."""

    def action(exchange: Exchange) -> None:
        name = json.loads(exchange.body)["name"]
        ids = sorted(store["id"] for store in _all_of(replace(exchange, method="GET")) if store["name"] == name)
        answer(200, {"id": ids[-1], "name": name})(exchange)

    scene.proxy.on(CREATE, action)


def _die_at_second_create(scene: Scene) -> None:
    def die(exchange: Exchange) -> None:
        scene.proxy.on_accept(refuse)
        scene.proxy.on(ANY, close)
        close(exchange)

    scene.proxy.on(CREATE, die, skip=1)


def _die_after_last_create(scene: Scene) -> None:
    def die(exchange: Exchange) -> None:
        pass_on(exchange)
        scene.proxy.on_accept(refuse)
        scene.proxy.on(ANY, close)

    scene.proxy.on(CREATE, die, skip=2)


def _not_found(what: str) -> Action:
    """Answer that something is not found, with the vector store's id in the place of the brackets."""

    def action(exchange: Exchange) -> None:
        named = what.format(json.loads(exchange.body)["vector_store_id"])
        answer(404, {"error": {"message": f"{named} not found. Use 'client.vector_dbs.list()'"}})(exchange)

    return action


def _signal(number: int) -> Action:
    """Send the program a signal in the middle of this request, and never answer it."""

    def action(exchange: Exchange) -> None:
        exchange.proxy.signal(number)
        exchange.wait(LONG)

    return action


def _signal_after_answer(number: int) -> Action:
    """Answer 503, and send the signal while the program waits for its next try."""

    def action(exchange: Exchange) -> None:
        answer(503, Retry_After="5")(exchange)
        exchange.wait(0.2)
        exchange.proxy.signal(number)

    return action


def _credentials(exchange: Exchange) -> str:
    """Return the credentials of a request as a server that talks too much would say them."""
    sent = exchange.headers.get("authorization", "")
    return f"{sent} {proxy.decoded(sent)}"


def _echo(status: int, shape: str = "message") -> Action:
    def action(exchange: Exchange) -> None:
        said = _credentials(exchange)
        bodies: dict[str, Any] = {
            "request": {"headers": dict(exchange.headers), "said": base64.b85encode(said.encode()).decode()},
            "in base64": {"detail": base64.b64encode(said.partition(" ")[2].encode()).decode()},
            **{name: {"detail": spell(said)} for name, spell in SPELLINGS.items()},
            "message": {"error": {"message": f"bad credentials {said}", "headers": dict(exchange.headers)}},
            "plain": f"<p>bad credentials {said}</p>".encode(),
            "errors": {"error": {"detail": {"errors": [{"loc": ["header", said], "msg": said}]}}},
            "long": {"detail": "x" * 375 + said},
            "upper": {"detail": f"credentials:\n{said}\n"},
        }
        answer(status, bodies[shape])(exchange)

    return action


def _echo_header(name: str, status: int) -> Action:
    def action(exchange: Exchange) -> None:
        said = proxy.decoded(exchange.headers.get("authorization", "")).replace("/", "%2F")
        answer(status, b"x", **{name.replace("-", "_"): f"https://{said}" if name == "Location" else said})(exchange)

    return action


def _echo_as(shape: Callable[[str], Any]) -> Action:
    return lambda exchange: answer(200, shape(_credentials(exchange)))(exchange)


def _echo_raw(template: str) -> Action:
    return lambda exchange: raw(template.format(_credentials(exchange)).encode())(exchange)


def _echo_in_list(exchange: Exchange) -> None:
    body = exchange.forward().json()
    for store in body["data"]:
        store["metadata"] |= {"embedding_model": _credentials(exchange)}
    answer(200, body)(exchange)
