"""The addresses in a ConfigMap: after a verified run, and only then."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import trustme

from hook.kubernetes import pod
from hook.kubernetes.configmap import can_be_key
from hook.timings import DEFAULT_TIMINGS
from tests.fake_kubernetes import TOKEN, FakeKubernetes
from tests.fake_llamastack import GRANITE, FakeLlamaStack, answer
from tests.pages import PAGES
from tests.unit.conftest import NAMES, Outcome, Run, Waits, entries

PATH = "/api/v1/namespaces/private-ai-demo/configmaps/ids"


@pytest.fixture
def publish_run(server: FakeLlamaStack, run: Run, kubernetes: FakeKubernetes) -> Run:
    """Return a function that runs the hook so that it publishes."""

    def call(*flags: str, **environ: str) -> Outcome:
        names = environ.pop("names", " ".join(NAMES)).split()
        wanted = entries(*names) if names else []
        asked = kubernetes.environ() | {"HOOK_PUBLISH_CONFIGMAP": "ids"} | environ
        return run(server.url, *flags, environ=asked, collections=wanted)

    return call


def test_a_verified_run_publishes_its_addresses(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run
) -> None:
    """By name, with the server's URL; one read and one write."""
    outcome = publish_run()

    manifest = kubernetes.configmaps[PATH]
    del manifest["metadata"]["managedFields"], manifest["metadata"]["resourceVersion"]
    assert outcome.exit_code == 0
    assert kubernetes.requests == [f"GET {PATH}", f"PATCH {PATH}"]
    assert "publish.applied" in outcome.event_names()
    assert manifest == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "ids",
            "namespace": "private-ai-demo",
            "labels": {"app.kubernetes.io/managed-by": "register-collections"},
            "annotations": {"register-collections/server-url": server.url},
        },
        "data": {store["name"]: store["id"] for store in server.stores},
    }


def test_a_disabled_collection_is_not_published(server: FakeLlamaStack, kubernetes: FakeKubernetes, run: Run) -> None:
    """It has no address, and is no failure."""
    wanted = [*entries("off", provider_id="__disabled__"), *entries("on")]
    outcome = run(server.url, environ=kubernetes.environ() | {"HOOK_PUBLISH_CONFIGMAP": "ids"}, collections=wanted)

    assert (outcome.exit_code, outcome.states) == (0, ["disabled", "registered"])
    assert kubernetes.configmaps[PATH]["data"] == {"on": server.stores[0]["id"]}


@pytest.mark.parametrize(
    ("alias", "keys"),
    [("hr", {"docs", "hr"}), ("HR documents", {"docs"})],
)
def test_an_alias_is_a_key_where_it_can_be_one(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, run: Run, tmp_path: Path, alias: str, keys: set[str]
) -> None:
    """Consumers that know either name find the address."""
    config = tmp_path / "stores.yaml"
    fields = {"provider_id": "milvus-shared", "embedding_model": GRANITE}
    entry = {"vector_store_id": "docs", "vector_store_name": alias} | fields
    config.write_text(json.dumps({"registered_resources": {"vector_stores": [entry]}}))

    outcome = run(server.url, config=str(config), environ=kubernetes.environ() | {"HOOK_PUBLISH_CONFIGMAP": "ids"})

    assert outcome.exit_code == 0
    assert kubernetes.configmaps[PATH]["data"] == dict.fromkeys(keys, server.stores[0]["id"])
    left_out = [event["aliases"] for event in outcome.events if event["event"] == "publish.aliases_left_out"]
    assert left_out == ([] if alias in keys else [[alias]])


def test_a_name_that_cannot_be_a_key_may_have_an_alias_that_can(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, run: Run, tmp_path: Path
) -> None:
    config = tmp_path / "stores.yaml"
    fields = {"provider_id": "milvus-shared", "embedding_model": GRANITE}
    entry = {"vector_store_id": "HR documents", "vector_store_name": "hr"} | fields
    config.write_text(json.dumps({"registered_resources": {"vector_stores": [entry]}}))

    outcome = run(server.url, config=str(config), environ=kubernetes.environ() | {"HOOK_PUBLISH_CONFIGMAP": "ids"})

    assert (outcome.exit_code, outcome.states) == (0, ["registered"])
    assert kubernetes.configmaps[PATH]["data"] == {"hr": server.stores[0]["id"]}


def test_the_last_key_goes_with_the_last_collection(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """Where it is allowed that nothing is declared."""
    publish_run(names="docs")
    outcome = publish_run(names="", HOOK_ALLOW_EMPTY="true")

    assert outcome.exit_code == 0
    assert "data" not in kubernetes.configmaps[PATH]


def test_an_apply_without_a_change_writes_nothing(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """The API server keeps the version, and the log says so."""
    publish_run()
    before = kubernetes.configmaps[PATH]
    outcome = publish_run()

    assert kubernetes.configmaps[PATH] == before
    assert "publish.unchanged" in outcome.event_names()
    assert "publish.applied" not in outcome.event_names()


def test_a_new_id_is_published(server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """After a re-creation consumers find the live one."""
    publish_run()
    del server.stores[0]
    publish_run()

    assert kubernetes.configmaps[PATH]["data"] == {store["name"]: store["id"] for store in server.stores}


def owners(kubernetes: FakeKubernetes, key: str) -> set[str]:
    """Return the field managers that own a key."""
    managed = kubernetes.configmaps[PATH]["metadata"]["managedFields"]
    return {entry["manager"] for entry in managed if f"f:{key}" in entry["fieldsV1"].get("f:data", {})}


def published(outcome: Outcome) -> str:
    """Return which event says what became of the ConfigMap."""
    (event,) = (name for name in outcome.event_names() if name in ("publish.applied", "publish.unchanged"))
    return event


def test_a_key_of_a_dropped_collection_goes(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """The API server removes what an apply no longer sends."""
    publish_run(names="red_hat_docs gone")

    assert published(publish_run(names="red_hat_docs")) == "publish.applied"
    assert set(kubernetes.configmaps[PATH]["data"]) == {"red_hat_docs"}


def test_a_key_of_somebody_else_stays_and_costs_no_write(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """Whoever made the ConfigMap, and however often the hook runs."""
    kubernetes.update(PATH, "oc-edit", {"theirs": "x"})
    publish_run(names="red_hat_docs")

    assert published(publish_run(names="red_hat_docs")) == "publish.unchanged"
    assert set(kubernetes.configmaps[PATH]["data"]) == {"red_hat_docs", "theirs"}


def test_our_dropped_key_goes_from_a_configmap_of_somebody_else(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """And theirs stays."""
    kubernetes.update(PATH, "oc-edit", {"theirs": "x"})
    publish_run(names="red_hat_docs gone")

    assert published(publish_run(names="red_hat_docs")) == "publish.applied"
    assert set(kubernetes.configmaps[PATH]["data"]) == {"red_hat_docs", "theirs"}


def test_a_dropped_key_that_somebody_shares_is_left_to_them(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """The hook gives it up, which changes no data."""
    publish_run(names="red_hat_docs shared")
    shared = kubernetes.configmaps[PATH]["data"]["shared"]
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ids"}, "data": {"shared": shared}}
    assert kubernetes.apply(PATH, "another", manifest) is None
    assert owners(kubernetes, "shared") == {"register-collections", "another"}

    publish_run(names="red_hat_docs")

    assert kubernetes.configmaps[PATH]["data"]["shared"] == shared
    assert owners(kubernetes, "shared") == {"another"}
    assert published(publish_run(names="red_hat_docs")) == "publish.unchanged"


def test_a_key_of_ours_that_somebody_has_written_is_taken_back(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """A name of ours is ours, whoever owns it."""
    publish_run(names="red_hat_docs")
    right = dict(kubernetes.configmaps[PATH]["data"])
    kubernetes.update(PATH, "oc-edit", {"red_hat_docs": "wrong"})
    assert owners(kubernetes, "red_hat_docs") == {"oc-edit"}

    assert published(publish_run(names="red_hat_docs")) == "publish.applied"
    assert kubernetes.configmaps[PATH]["data"] == right
    assert owners(kubernetes, "red_hat_docs") == {"register-collections"}


def test_what_somebody_has_restored_is_made_ours_again(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """From a backup, which has the data and not its owners; else a dropped key could not go later."""
    publish_run(names="red_hat_docs gone")
    del kubernetes.configmaps[PATH]["metadata"]["managedFields"]
    publish_run(names="red_hat_docs gone")

    assert "register-collections" in owners(kubernetes, "gone")


def test_another_address_of_the_server_is_published(
    server: FakeLlamaStack, run: Run, kubernetes: FakeKubernetes, publish_run: Run
) -> None:
    publish_run()
    environ = kubernetes.environ() | {"HOOK_PUBLISH_CONFIGMAP": "ids"}
    outcome = run(server.url.replace("127.0.0.1", "localhost"), environ=environ)

    assert published(outcome) == "publish.applied"
    assert "localhost" in kubernetes.configmaps[PATH]["metadata"]["annotations"]["register-collections/server-url"]


def configmap(data: Any, kind: str = "ConfigMap", name: str = "ids", namespace: str = "private-ai-demo") -> Any:
    """Return a ConfigMap as an API server answers it, or what is none."""
    annotations = {"register-collections/server-url": "http://elsewhere:8321"}
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "annotations": annotations}, "data": data}


def answered(kubernetes: FakeKubernetes, *answers: tuple[int, Any]) -> None:
    """Let somebody in front of the API server answer that first."""
    headers = {"Content-Type": "application/json"}
    kubernetes.answers = [(status, headers, json.dumps(body).encode()) for status, body in answers]


NOT_THERE = (404, {"kind": "Status", "status": "Failure", "message": "not found"})
FAILURE = {"kind": "Status", "status": "Failure", "message": "quota exceeded"}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "answered with something else, not with ConfigMap 'ids' of namespace 'private-ai-demo'; check"),
        ([], "answered with something else, not with"),
        (FAILURE, "answered with a Status (quota exceeded), not with ConfigMap 'ids' of namespace 'private-ai-demo'"),
        (configmap({}, kind="Secret"), "answered with a Secret, not with"),
        (configmap({}, name="other"), "answered with a ConfigMap, not with"),
        (configmap({}, namespace="other"), "answered with a ConfigMap, not with"),
    ],
)
def test_an_answer_that_is_another_object_is_not_ours(
    kubernetes: FakeKubernetes, publish_run: Run, found: Any, said: str
) -> None:
    """Neither that to the read, after which nothing is written, nor that to the write."""
    answered(kubernetes, (200, found))
    read = publish_run()
    asked = list(kubernetes.requests)
    answered(kubernetes, NOT_THERE, (200, found))
    written = publish_run()

    assert (read.exit_code, written.exit_code) == (6, 6)
    assert asked == [f"GET {PATH}"]
    assert f"GET {PATH} {said}" in read.report["message"]
    assert f"PATCH {PATH} {said}" in written.report["message"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            None,
            "for acme_corporate, eu_ai_act, red_hat_docs, register-collections/server-url; look for an admission",
        ),
        ("text", "for acme_corporate, eu_ai_act, red_hat_docs, "),
        ({"red_hat_docs": 1}, "for acme_corporate, eu_ai_act, red_hat_docs, "),
    ],
)
def test_a_write_that_is_answered_with_other_data_is_none(
    kubernetes: FakeKubernetes, publish_run: Run, data: Any, said: str
) -> None:
    """Consumers would read those."""
    answered(kubernetes, NOT_THERE, (200, configmap(data)))

    outcome = publish_run()

    assert outcome.exit_code == 6
    assert outcome.states == ["registered"] * 3
    assert said in outcome.report["message"]


def test_a_write_that_is_answered_with_another_server_is_none(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run
) -> None:
    publish_run()
    ours = {store["name"]: store["id"] for store in server.stores}
    answered(kubernetes, NOT_THERE, (200, configmap(ours | {"theirs": "x"})))

    outcome = publish_run()

    assert outcome.exit_code == 6
    assert "other values than were sent, for register-collections/server-url;" in outcome.report["message"]


@pytest.mark.parametrize("command", ["check", "validate"])
def test_only_register_publishes(kubernetes: FakeKubernetes, publish_run: Run, command: str) -> None:
    """The others change nothing anywhere."""
    publish_run(command)

    assert kubernetes.requests == []


def test_an_unverified_run_publishes_nothing(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run
) -> None:
    """Not even what is right."""
    server.add("red_hat_docs", provider_id="faiss-first")

    assert publish_run().exit_code == 5
    assert kubernetes.requests == []


def test_a_name_that_cannot_be_a_key_is_not_published(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """It is said, and the others are published."""
    outcome = publish_run(names="red_hat_docs a/b")

    assert outcome.exit_code == 6
    assert outcome.states == ["registered", "unpublished"]
    assert outcome.detail("a/b") == (
        "usable, but its name cannot be a key of a ConfigMap: "
        "declare it in registered_resources.vector_stores, with a vector_store_name of A-Z a-z 0-9 . _ -"
    )
    assert [item["addressed_by"] for item in outcome.report["collections"]] == ["id", "id"]
    assert list(kubernetes.configmaps[PATH]["data"]) == ["red_hat_docs"]


def test_a_name_that_is_no_key_is_told_if_publishing_fails(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """Else the next run would be the first to say so."""
    kubernetes.forbidden = True
    outcome = publish_run(names="red_hat_docs a/b")

    assert outcome.exit_code == 6
    assert outcome.states == ["registered", "unpublished"]


def test_the_pages_say_how_long_publishing_waits() -> None:
    limit = f"waits at most {DEFAULT_TIMINGS.publish_seconds:g} s"

    assert limit in " ".join(PAGES["docs/addresses.md"].split())
    assert limit in " ".join(PAGES["CHANGELOG.md"].split())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", True), ("A.b_c-9", True), ("a b", False), ("a/b", False), ("é", False), (".", False), ("..a", False)],
)
def test_keys_of_a_configmap(name: str, expected: bool) -> None:
    """Kubernetes' own rule."""
    assert can_be_key(name) is expected
    assert not can_be_key("a" * 254)


def test_a_refusal_to_publish_has_its_own_sentence(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run
) -> None:
    """With an exit code of its own; the collections stay registered."""
    kubernetes.forbidden = True
    outcome = publish_run()

    assert outcome.exit_code == 6
    assert outcome.states == ["registered"] * 3
    message = outcome.report["message"]
    assert message.startswith(
        f"The collections are registered, but publishing their addresses failed: GET {PATH} answered 403 "
        '(configmaps "ids" is forbidden: User cannot patch resource): access to '
    )
    assert message.endswith(
        " is denied; give the pod's ServiceAccount the Role of the component publish-ids (Helm: publishConfigMap)"
    )
    assert len(server.stores) == 3


def test_a_refusal_without_collections_speaks_of_none(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    kubernetes.forbidden = True
    outcome = publish_run("--allow-empty", names="")

    assert outcome.exit_code == 6
    assert outcome.report["message"].startswith("No collection is declared, and publishing that failed: GET")


def test_a_budget_too_short_for_publishing_is_unavailable(publish_run: Run) -> None:
    """The Job tries again at exit code 3, and the next pod need not wait for LlamaStack."""
    outcome = publish_run("--timeout", "1", KUBERNETES_SERVICE_PORT="1")

    assert outcome.exit_code == 3
    assert outcome.report["message"].startswith("The collections are registered, but publishing their addresses failed")


def test_publishing_waits_for_a_part_of_the_budget_only(publish_run: Run, waits: Waits) -> None:
    """The collections are registered already; with exit code 6 the Job does not do all of it again."""
    waits.set(publish_seconds=0.5)
    outcome = publish_run("--timeout", "600", KUBERNETES_SERVICE_PORT="1")

    left = [event["remaining_seconds"] for event in outcome.events if event["event"] == "publish.retry_scheduled"]
    assert outcome.exit_code == 6
    assert outcome.states == ["registered"] * 3
    assert max(left) <= 0.5
    assert outcome.report["message"].startswith("The collections are registered, but publishing their addresses failed")
    assert outcome.report["message"].endswith("run the hook again to publish them")


def test_an_api_server_that_is_silent_is_not_waited_for_longer(publish_run: Run, waits: Waits) -> None:
    """Whatever one request may take elsewhere."""
    waits.set(publish_seconds=0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        outcome = publish_run("--timeout", "600", "--request-timeout", "600", KUBERNETES_SERVICE_PORT=port)

    assert outcome.exit_code == 6
    assert ", at the end of the time limit of 0.5 s; run the hook again" in outcome.report["message"]


def test_a_write_whose_answer_is_lost_is_no_less_of_one(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """The second apply changes nothing, and the log says that the run did."""
    kubernetes.lost_answers = 1
    outcome = publish_run()

    assert kubernetes.requests == [f"GET {PATH}", f"PATCH {PATH}", f"PATCH {PATH}"]
    assert published(outcome) == "publish.applied"


def test_a_conflict_is_tried_again(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """Somebody else has written at the same time."""
    kubernetes.conflicts = 2
    outcome = publish_run()

    assert outcome.exit_code == 0
    assert kubernetes.requests == [f"GET {PATH}", *[f"PATCH {PATH}"] * 3]


def test_a_conflict_without_end_is_not_published(kubernetes: FakeKubernetes, publish_run: Run, waits: Waits) -> None:
    """The next run may be luckier."""
    waits.set(publish_seconds=0.5)
    kubernetes.conflicts = 1_000_000
    outcome = publish_run()

    assert outcome.exit_code == 6
    assert "answered 409: Operation cannot be fulfilled" in outcome.report["message"]


def test_a_write_that_is_refused_ends_the_run_at_once(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """As that to an immutable ConfigMap."""
    kubernetes.update(PATH, "oc-edit", {"theirs": "x"})
    kubernetes.configmaps[PATH]["immutable"] = True
    outcome = publish_run()

    assert outcome.exit_code == 6
    assert "field is immutable when `immutable` is set" in outcome.report["message"]
    assert kubernetes.requests == [f"GET {PATH}", f"PATCH {PATH}"]


def test_files_that_go_under_way_end_the_run_in_a_sentence(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run, tmp_path: Path
) -> None:
    """They were there at the start; the collections stay registered."""

    def spoil(handler: Any) -> None:
        (tmp_path / "serviceaccount" / "ca.crt").write_text("")
        handler.reply(200, {"version": "0.7.0"})

    server.fault("GET /v1/version", spoil)
    outcome = publish_run()

    assert outcome.exit_code == 6
    assert outcome.report["message"].startswith("The collections are registered, but publishing their addresses failed")
    assert kubernetes.requests == []


@pytest.mark.parametrize("host", ["a..b", "a b", "user:pw@host", "::x"])
def test_an_api_server_without_an_address_is_an_error(server: FakeLlamaStack, publish_run: Run, host: str) -> None:
    """It is said before anything is sent."""
    outcome = publish_run(KUBERNETES_SERVICE_HOST=host)

    assert outcome.exit_code == 2
    assert outcome.report["problems"][0].startswith(
        "HOOK_PUBLISH_CONFIGMAP: the address in KUBERNETES_SERVICE_HOST and _PORT "
    )
    assert server.requests == []


def test_an_unusable_token_is_an_error_and_not_shown(
    server: FakeLlamaStack, kubernetes: FakeKubernetes, publish_run: Run, tmp_path: Path
) -> None:
    """A header could not hold a second line of it."""
    (tmp_path / "serviceaccount" / "token").write_text("pod-token-7f3a\nsecond-line")
    outcome = publish_run()

    assert outcome.exit_code == 2
    assert outcome.report["problems"] == [
        f"HOOK_PUBLISH_CONFIGMAP: no usable token in {tmp_path}/serviceaccount (must hold one token of visible ASCII "
        "characters and nothing else); use the component publish-ids (Helm: publishConfigMap), which mounts the "
        "ServiceAccount's token"
    ]
    assert not any(part in str([outcome.report, outcome.events]) for part in ("7f3a", "second-line", "Traceback"))
    assert (server.requests, kubernetes.requests) == ([], [])


def test_an_api_server_that_stumbles_is_asked_again(kubernetes: FakeKubernetes, publish_run: Run) -> None:
    """Within the budget."""
    kubernetes.failures = 2
    outcome = publish_run()

    assert outcome.exit_code == 0
    assert outcome.event_names().count("publish.retry_scheduled") == 2


def test_without_a_mounted_token_nothing_is_sent(
    server: FakeLlamaStack, run: Run, kubernetes: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A pod that cannot publish is told before it registers anything."""
    (problem,) = run(server.url, "--publish-configmap", "ids").report["problems"]
    assert problem == (
        "HOOK_PUBLISH_CONFIGMAP: not running in a pod "
        "(KUBERNETES_SERVICE_HOST and _PORT are not set); leave it out here"
    )

    monkeypatch.setattr(pod, "SERVICE_ACCOUNT", tmp_path / "missing")
    (problem,) = run(server.url, "--publish-configmap", "ids", environ=kubernetes.environ()).report["problems"]
    assert problem.startswith("HOOK_PUBLISH_CONFIGMAP: no usable token in ")
    assert server.requests == []


def test_the_name_has_to_be_one(run: Run) -> None:
    """Before anything else."""
    (problem,) = run("http://stack", environ={"HOOK_PUBLISH_CONFIGMAP": "Red Hat"}).report["problems"]

    assert (
        problem
        == "HOOK_PUBLISH_CONFIGMAP: must be a Kubernetes name (lower-case letters, digits, '-' and '.'), not 'Red Hat'"
    )


def test_the_pod_s_token_goes_to_the_api_server_alone(server: FakeLlamaStack, publish_run: Run, tmp_path: Path) -> None:
    """And the one for LlamaStack to LlamaStack, whichever authority the environment names for it."""
    server.fault("GET /v1/version", answer(200, {"version": TOKEN}))

    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.crt"))
    outcome = publish_run(LLAMA_STACK_API_KEY="llama-key", REQUESTS_CA_BUNDLE=str(tmp_path / "other.crt"))

    assert outcome.exit_code == 0
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer llama-key"}
