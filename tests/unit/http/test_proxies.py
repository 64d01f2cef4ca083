"""Which servers need no proxy: a token that goes to one by mistake is seen by it."""

import pytest

from hook.deadline import Deadline
from hook.errors import HookError
from hook.http.client import Http
from hook.http.endpoint import Endpoint
from hook.http.proxies import is_exempt
from tests.fake_llamastack import FakeLlamaStack, answer
from tests.unit.conftest import Run

EXEMPT = [
    ("http://10.1.2.3:8321", "10.1.2.3"),
    ("http://10.1.2.3:8321", "10.1.2.3:8321"),
    ("http://10.1.2.3:8321", "other, 10.1.2.3:8321"),
    ("http://10.1.2.3:8321", "other 10.1.2.3:8321"),
    ("http://10.1.2.3:8321", "10.0.0.0/8"),
    ("http://10.1.2.3:8321", "10.1.2.3/8"),
    ("http://10.1.2.3", "10.1.2.3:80"),
    ("https://10.1.2.3", "10.1.2.3:443"),
    ("http://[fd00::1]:8321", "fd00::1"),
    ("http://[fd00::1]:8321", "fd00:0:0::1"),
    ("http://[fd00::1]:8321", "[fd00::1]"),
    ("http://[fd00::1]:8321", "[fd00::1]:8321"),
    ("http://[fd00::1]:8321", "fd00::/8"),
    ("http://[fe80::1%25eth0]:8321", "fe80::1%eth0"),
    ("http://stack:8321", "stack"),
    ("http://stack:8321", "stack:8321"),
    ("http://STACK:8321", "Stack"),
    ("http://stack.ns.svc:8321", "svc"),
    ("http://stack.ns.svc:8321", ".svc"),
    ("http://stack.ns.svc:8321", "*.svc"),
    ("http://stack.ns.svc:8321", ".svc:8321"),
    ("http://svc:8321", ".svc"),
    ("http://stack.ns.svc.:8321", ".svc"),
    ("http://stack.ns.svc:8321", "ns.svc."),
    ("http://stack:8321", "*"),
    ("http://10.1.2.3:8321", "*"),
]
NOT_EXEMPT = [
    ("http://10.1.2.3:8321", ""),
    ("http://10.1.2.3:8321", "10.1.2.3:80"),
    ("http://10.1.2.3:8321", "10.1.2.30"),
    ("http://10.1.2.3:8321", "2.3"),
    ("http://10.1.2.3:8321", ".2.3"),
    ("http://10.1.2.3:8321", "11.0.0.0/8"),
    ("http://10.1.2.3:8321", "10.0.0.0/99"),
    ("http://10.1.2.3:8321", "fd00::/8"),
    ("http://10.1.2.3:8321", "10.1.2.3:port"),
    ("http://[fd00::1]:8321", "[fd00::1]:80"),
    ("http://[fd00::1]:8321", "fd00::2"),
    ("http://stack:8321", "stack:80"),
    ("http://stack:8321", "tack"),
    ("http://stack:8321", "."),
    ("http://stack:8321", ":8321"),
    ("http://stack:8321", ",, ,"),
    ("http://stack.ns.svc:8321", "10.0.0.0/8"),
    ("http://stack:port", "stack:8321"),
]


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("url", "named", "expected"), [(*each, True) for each in EXEMPT] + [(*each, False) for each in NOT_EXEMPT]
)
def test_no_proxy_means_what_it_means_elsewhere(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, named: str, expected: bool
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv(variable, named)

    assert is_exempt(url) is expected


@pytest.mark.parametrize(
    "template", ["127.0.0.1:{}", "10.0.0.1,127.0.0.1:{}", "[::1]:{0},127.0.0.0/8:80,127.0.0.1:{0}"]
)
def test_a_token_does_not_go_to_a_proxy_that_no_proxy_spares(
    server: FakeLlamaStack, run: Run, monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    with FakeLlamaStack() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", template.format(server.url.rpartition(":")[2]))
        outcome = run(server.url, environ={"LLAMA_STACK_API_KEY": "s3cr3t-key"})

    assert outcome.exit_code == 0
    assert proxy.requests == []


def test_another_port_goes_through_the_proxy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeLlamaStack() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1:1")
        run("http://127.0.0.1:2", "--timeout", "0.5")

    assert proxy.requests != []


def test_all_proxy_is_for_every_scheme(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeLlamaStack() as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        run("http://stack.invalid", "--timeout", "0.5")

    assert proxy.requests != []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (503, 'answered 503 with an HTML page "Squid"; it may come from the proxy '),
        (
            404,
            'is not LlamaStack: GET /v1/x answered 404 with an HTML page "Squid"; it may come from the proxy ',
        ),
        (407, "a proxy on the way wants credentials; it may come from the proxy "),
    ],
)
def test_a_page_may_be_the_proxy_s_own(monkeypatch: pytest.MonkeyPatch, status: int, expected: str) -> None:
    """LlamaStack answers in JSON, so its log is the wrong place to look."""
    with FakeLlamaStack() as proxy:
        page = b"<html><title>Squid</title></html>"
        proxy.fault("GET /v1/x", answer(status, page, Content_Type="text/html"))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(HookError) as caught:
            Http(Endpoint("http://stack.example:8321"), 5, Deadline(5)).get("/v1/x")

    expected += f"{proxy.url.removeprefix('http://')} of HTTP_PROXY or ALL_PROXY: correct that, or name "
    assert f"{expected}stack.example in NO_PROXY" in str(caught.value)


def test_an_answer_in_json_is_the_server_s(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeLlamaStack() as proxy:
        proxy.fault("GET /v1/x", answer(500))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with pytest.raises(HookError, match="see LlamaStack's log"):
            Http(Endpoint("http://stack.example:8321"), 5, Deadline(5)).get("/v1/x")
