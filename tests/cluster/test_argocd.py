"""Argo CD syncs the product from a Git repository."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.argocd import App
from tests.cluster.kube import (
    HOOK,
    IMAGE,
    MODEL,
    PUBLISHED,
    Api,
    Room,
    collections,
    create_store,
    delete_store,
    deployment_spec,
    image,
    run,
)
from tests.cluster.place import ARGOCD
from tests.pages import PAGES, blocks, commands

pytestmark = pytest.mark.needs("Argo CD")

IGNORED = "argocd.argoproj.io/ignore-healthcheck"
STAGE02_IMAGE = "image-registry.openshift-image-registry.svc:5000/private-ai-demo/register-collections"


def stage02(room: Room, **settings: str) -> dict[str, Any]:
    """Return the stage's kustomization with the overlay in it; the URL names the room in place of private-ai-demo."""
    if room.name != "private-ai-demo":
        settings["LLAMA_STACK_URL"] = f"http://llama-stack-service.{room.name}.svc:8321"
    content = room.kustomization(base="overlays/stage02", **settings)
    content["resources"].insert(0, "llamastack-config.yaml")
    if room.facts.image:
        content["images"] = [{"name": STAGE02_IMAGE, **image(room.facts.image)}]
    return content


def server_config(declared: str) -> str:
    """Return the manifest of the server's own ConfigMap, with a run.yaml that declares something."""
    run_yaml = yaml.safe_dump({"version": 2, "image_name": "rh", **json.loads(declared)})
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "llamastack-config"},
            "data": {"run.yaml": run_yaml},
        }
    )


def commit(app: App, declared: str, **settings: str) -> str:
    """Commit the stage, with a server's ConfigMap that declares something."""
    return app.commit(stage02(app.room, **settings), **{"llamastack-config__yaml": server_config(declared)})


@pytest.fixture(scope="module")
def app_of_stage02(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Sync it for the first time."""
    folder = tmp_path_factory.mktemp("stage02")
    with Room(api, "private-ai-demo", folder, whole_name=True) as room, App(room) as app:
        commit(app, collections("red_hat_docs", "acme_corporate", "eu_ai_act"))
        app.create()
        app.synced()
        yield app


@pytest.mark.needs("a namespace private-ai-demo of the tests' own")
class TestStage02:
    """The overlay as it is, in the namespace that it names."""

    @pytest.fixture
    def app(self, app_of_stage02: App) -> App:
        """Take the app in the state that the test before left, which is a good one."""
        return app_of_stage02

    def test_the_first_sync_registers_what_the_server_declares(self, app: App) -> None:
        """And the app is Synced and Healthy after it, with its CronJob suspended."""
        assert app.hook()["hookPhase"] == "Succeeded"
        assert {"red_hat_docs", "acme_corporate", "eu_ai_act"} <= {store["name"] for store in app.room.stores()}
        assert app.status() == ("Synced", "Healthy")
        assert app.node("CronJob")["health"] == {"status": "Healthy", "message": "CronJob is Suspended"}

    def test_a_second_commit_registers_what_it_adds(self, app: App) -> None:
        before = app.job_uid()
        commit(app, collections("red_hat_docs", "second_commit"))

        assert app.live()["status"]["sync"]["status"] == "OutOfSync"
        assert app.synced()["phase"] == "Succeeded"
        assert app.hook()["hookPhase"] == "Succeeded"
        outcome = app.outcome_after(before)
        said = [outcome.message, *outcome.tries, app.room.kubectl("logs", f"job/{HOOK}", "--tail=-1").stdout]
        assert outcome.complete, said
        assert len(app.room.stores("second_commit")) == 1, said

    def test_each_full_sync_runs_the_hook_anew(self, app: App) -> None:
        """Also where nothing has changed."""
        before = app.job_uid()
        app.synced()

        assert app.job_uid() != before

    def test_a_selective_sync_runs_no_hook(self, app: App) -> None:
        before = app.job_uid()
        done = app.sync("--resource", f"batch:CronJob:{HOOK}")

        assert done.returncode == 0, done.stdout + done.stderr
        assert app.hook() is None
        assert app.job_uid() == before

    def test_a_change_of_the_hook_alone_leaves_the_app_in_sync(self, app: App) -> None:
        """A hook is not compared with Git; that is why the CronJob carries the same pod."""
        content = stage02(app.room)
        target = {"kind": "Job", "name": HOOK}
        content["patches"].append(
            {"target": target, "patch": '[{"op": "add", "path": "/metadata/labels/new", "value": "x"}]'}
        )
        app.commit(content)

        assert app.status()[0] == "Synced"

    def test_the_action_create_job_of_the_cronjob_runs_it(self, app: App) -> None:
        before = {job["metadata"]["name"] for job in app.room.api.get(app.room.name, "jobs")}
        done = run(
            "argocd", "app", "actions", "run", app.name, "create-job", "--kind", "CronJob", "--resource-name", HOOK
        )
        assert done.returncode == 0, done.stderr
        (made,) = {job["metadata"]["name"] for job in app.room.api.get(app.room.name, "jobs")} - before

        assert app.room.outcome(made).complete


@pytest.mark.parametrize(
    ("declared", "code", "says"),
    [
        ('{"vector_dbs": [{"vector_db": "broken", "provider_id": "milvus-shared"}]}', 2, "vector_db_id"),
        (collections("refused", model="no-such-model"), 4, "no-such-model"),
        (collections("argo_drifted", provider="faiss-first"), 5, "argo_drifted"),
        (collections("argo_twice"), 5, "argo_twice"),
    ],
    ids=["2-config", "4-refused", "5-drifted", "5-duplicated"],
)
def test_a_failed_hook_is_a_failed_sync_with_its_words(app: App, declared: str, code: int, says: str) -> None:
    """After one try, which waits for no other run of the hook: what was made before is settled.

    The sync result has the Job's message, the pod's node the program's; the app is Healthy still.
    """
    port = app.room.facts.servers["0.3.5"]
    for name in {"argo_drifted": ["argo_drifted"], "argo_twice": ["argo_twice"] * 2}.get(says, []):
        create_store(port, name)
    commit(app, declared)
    app.create()
    done = app.sync()

    assert done.returncode != 0
    assert app.operation()["phase"] == "Failed"
    assert app.hook()["hookPhase"] == "Failed"
    assert f"failed with exit code {code} matching FailJob rule at index 0" in app.hook()["message"]
    assert app.room.outcome().exit_codes == [code]
    assert "race.found" not in app.room.logs()
    assert "finalizers" not in app.room.job()["metadata"]
    node = app.node("Pod")["health"]
    assert node["status"] == "Degraded"
    assert node["message"].startswith(app.room.outcome().last.sentence)
    assert says in node["message"]
    assert app.status() == ("Synced", "Healthy")
    # By the commands of docs/troubleshooting.md, too.
    sentences, phase = (words[1:] for words in commands(PAGES["docs/troubleshooting.md"], "kubectl") if "-o" in words)
    phase = [word.replace("openshift-gitops", ARGOCD).replace("APP", app.name) for word in phase]
    sentences = [word.replace("NAMESPACE", app.room.name) for word in sentences]
    assert run("kubectl", *phase).stdout == "Failed"
    assert f": {app.room.outcome().last.sentence}" in app.room.must(*sentences)


def test_addresses_nobody_may_publish_fail_the_sync_with_6(app: App) -> None:
    """The component's Role is left out; the collections stay registered."""
    content = stage02(app.room)
    content["components"] = ["../manifests/components/publish-ids"]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": HOOK}}
    content["patches"].append({"patch": json.dumps({"$patch": "delete", **role})})
    app.commit(content, **{"llamastack-config__yaml": server_config(collections("argo_unpublished"))})
    app.create()
    done = app.sync()

    assert done.returncode != 0
    assert "failed with exit code 6 matching FailJob rule at index 0" in app.hook()["message"]
    assert app.room.outcome().exit_codes == [6]
    assert "the component publish-ids" in app.node("Pod")["health"]["message"]
    assert len(app.room.stores("argo_unpublished")) == 1


def test_a_sync_registers_and_publishes_on_0_7_3(api: Api, tmp_path: Path) -> None:
    """The other tests have a llama-stack 0.3.5."""
    with Room(api, "argo-newer", tmp_path, server="0.7.3") as room, App(room) as app:
        content = stage02(room)
        content["components"] = ["../manifests/components/publish-ids"]
        app.commit(content, **{"llamastack-config__yaml": server_config(collections("argo_newer"))})
        app.create()
        app.synced()
        (store,) = room.stores("argo_newer")

        assert app.status() == ("Synced", "Healthy")
        assert api.get(room.name, "configmaps", PUBLISHED)["data"] == {"argo_newer": store["id"]}


@pytest.mark.long(55)
def test_a_server_that_stays_away_is_3_after_three_tries(app: App) -> None:
    app.room.connect(None)
    commit(app, collections("away"), HOOK_TIMEOUT_SECONDS="5")
    app.create()
    done = app.sync()

    assert done.returncode != 0
    assert app.operation()["phase"] == "Failed"
    assert "backoff limit" in app.hook()["message"]
    assert app.room.outcome().exit_codes == [3, 3, 3]
    assert "not ready within 5 s" in app.node("Pod")["health"]["message"]


@pytest.mark.long(50)
def test_a_server_that_comes_up_40_seconds_late_is_waited_for(app: App) -> None:
    """PostSync does not mean that the server is up: the program waits, in its first try."""
    app.room.connect(None)
    commit(app, collections("late"))
    app.create()
    started = time.monotonic()
    late = threading.Timer(40, app.room.connect, ["0.3.5"])
    late.start()
    operation = app.synced()

    assert operation["phase"] == "Succeeded"
    assert time.monotonic() - started > 40
    assert app.room.outcome().exit_codes == [0]
    assert len(app.room.stores("late")) == 1


@pytest.mark.needs("Argo CD 3.4")
def test_a_running_hook_whose_job_vanishes_ends_the_sync(app: App) -> None:
    """Argo CD before 3.4 waits for it for ever. The next sync is none the worse for it."""
    app.room.connect(None)
    commit(app, collections("vanished"))
    app.create()
    assert app.sync("--async").returncode == 0
    app.room.running()
    # Argo CD holds the Job by a finalizer, which somebody has to take away.
    app.room.must("patch", "job", HOOK, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')
    app.room.must("delete", "job", HOOK)
    app.room.api.until("the sync ends", lambda: app.operation().get("phase") in ("Error", "Failed"))
    assert "is missing, it might have been deleted" in app.hook()["message"]
    app.room.connect("0.3.5")
    app.synced()

    assert len(app.room.stores("vanished")) == 1


def test_a_sync_that_is_terminated_leaves_no_job_behind(app: App) -> None:
    """Argo CD takes away the finalizer by which it held the Job."""
    app.room.connect(None)
    commit(app, collections("terminated"))
    app.create()
    assert app.sync("--async").returncode == 0
    app.room.running()
    done = run("argocd", "app", "terminate-op", app.name)

    assert done.returncode == 0, done.stderr
    app.room.api.until("the Job is gone", lambda: app.room.job() is None)
    app.room.api.until("the sync ends", lambda: app.operation().get("phase") == "Failed")


@pytest.mark.long(30)
def test_argo_cds_self_heal_runs_no_hook(app: App) -> None:
    revision = commit(app, collections("self_heal"))
    app.create({"automated": {"selfHeal": True}})
    app.until_synced(revision, "Succeeded")
    before = app.job_uid()

    def schedule() -> str:
        found: str = app.room.api.get(app.room.name, "cronjobs", HOOK)["spec"]["schedule"]
        return found

    right = schedule()
    app.room.api.patch(app.room.name, "cronjobs", HOOK, {"spec": {"schedule": "*/7 * * * *"}})
    app.refresh()
    app.room.api.until("Argo CD has healed the CronJob", lambda: schedule() == right)
    app.until_synced(revision, "Succeeded")

    assert app.hook() is None
    assert app.job_uid() == before


@pytest.mark.long(40)
def test_a_failed_commit_is_not_tried_again_and_the_next_one_is(app: App) -> None:
    """Not even with selfHeal, where the app has no retries (of which Argo CD else makes five)."""
    bad = commit(app, collections("not_again", model="no-such-model"))
    app.create({"automated": {"selfHeal": True}, "retry": {"limit": 0}})
    app.until_synced(bad, "Failed")
    # A look at the app that had begun before may still start a sync of its own.
    app.room.api.until("Argo CD is at rest", lambda: app.status()[0] == "Synced" and "operation" not in app.live())
    app.until_synced(bad, "Failed")
    before = app.job_uid()
    for _ in range(3):
        app.refresh()
        time.sleep(4)

    assert app.job_uid() == before
    commit(app, collections("not_again"))
    outcome = app.outcome_after(before)  # where its cache lags, Argo CD takes the failed Job's end for that of this one
    assert outcome.complete, outcome.tries


@pytest.mark.long(40)
def test_a_fix_pushed_while_argo_cd_retries_needs_a_refresh(app: App) -> None:
    """And each retry has deleted the Job of the one before. There are too many of them for it to wait for their end."""
    commit(app, collections("retried", model="no-such-model"))
    retry = {"limit": 100, "refresh": True, "backoff": {"duration": "3s", "maxDuration": "3s"}}
    app.create({"automated": {}, "retry": retry})
    uids: set[str] = set()

    def retried() -> bool:
        uids.update([job["metadata"]["uid"]] if (job := app.room.job()) else [])
        return len(uids) > 1

    app.room.api.until("a second try", retried)
    assert len(app.room.api.get(app.room.name, "jobs")) <= 1
    good = commit(app, collections("retried"))
    app.until_synced(good, "Succeeded")

    assert len(app.room.stores("retried")) == 1


def test_a_commit_that_changes_nothing_tracked_runs_no_hook(app: App) -> None:
    """An app that syncs by itself sees no difference, and so does nothing."""
    revision = commit(app, collections("untracked"))
    app.create({"automated": {}})
    app.until_synced(revision, "Succeeded")
    before = app.job_uid()
    app.commit(README="Words")
    time.sleep(5)

    assert app.status()[0] == "Synced"
    assert app.job_uid() == before


def test_a_commit_that_changes_a_setting_runs_the_hook(app: App) -> None:
    """It is in the CronJob, too, which is compared with Git."""
    revision = commit(app, collections("setting_changed"))
    app.create({"automated": {}})
    app.until_synced(revision, "Succeeded")
    before = app.job_uid()
    revision = commit(app, collections("setting_changed"), HOOK_LOG_LEVEL="debug")
    app.until_synced(revision, "Succeeded")

    assert app.job_uid() != before


def test_a_job_of_the_name_that_is_there_already_is_replaced(app: App) -> None:
    """Such as the one with curl that was there before the product."""
    app.room.must("create", "job", HOOK, f"--image={IMAGE}", "--", "false")
    before = app.job_uid()
    commit(app, collections("replacing"))
    app.create()
    app.synced()

    assert app.job_uid() != before


def test_what_waits_for_its_address_in_the_app_stops_the_sync(app: App) -> None:
    """PostSync waits until all is healthy, and the pod for what only the hook writes."""
    content = app.room.kustomization("publish-ids", config=collections("deadlock"))
    content["resources"].append("consumer.yaml")
    address = {"configMapKeyRef": {"name": PUBLISHED, "key": "deadlock"}}
    spec = deployment_spec(app.room.facts.image or IMAGE, env=[{"name": "VECTOR_DB_ID", "valueFrom": address}])
    consumer = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "consumer"},
        "spec": spec,
    }
    app.commit(content, consumer__yaml=json.dumps(consumer))
    app.create()
    done = app.sync("--async")
    assert done.returncode == 0, done.stderr
    app.room.api.until(
        "Argo CD waits",
        lambda: "waiting for healthy state of apps/Deployment/consumer" in app.operation().get("message", ""),
    )

    assert app.room.job() is None
    run("argocd", "app", "terminate-op", app.name)


@pytest.mark.parametrize("options", [(), ("ServerSideApply=true",)], ids=["client-side", "server-side"])
def test_a_setting_of_the_configmap_reaches_both_pods_in_sync(app: App, options: tuple[str, ...]) -> None:
    """One that the base has, too, gets the new value: three tries of 3 s, where nothing answers."""
    room = app.room
    room.connect(None)
    app.commit(room.kustomization(config=collections("settings"), HOOK_TIMEOUT_SECONDS="3"))
    app.create({"syncOptions": [*options]})
    assert app.sync().returncode != 0

    assert app.status()[0] == "Synced"
    assert "within 3 s" in room.outcome().last.message
    assert "within 3 s" in room.again().last.message


@pytest.mark.needs("Argo CD on this machine")
def test_the_base_and_its_components_can_be_a_remote_base(app: App) -> None:
    """By the very lines of the pages, which say where Git finds it."""
    room = app.room
    app.publish_the_product()
    (source,) = re.findall(r"`(https://git\.example/.+)`", PAGES["README.md"])
    (image,) = re.findall(r"`(registry\.example/.+)`", PAGES["README.md"])
    lines = (
        next(block for block in blocks(PAGES[page], "yaml") if "$SOURCE" in block)
        for page in ("README.md", "docs/argocd.md", "docs/addresses.md")
    )
    readme, argocd, addresses = (
        yaml.safe_load(block.replace("$SOURCE", source).replace("$IMAGE", image)) for block in lines
    )
    assert readme["resources"] == argocd["resources"] == addresses["resources"]
    own = room.kustomization(config=collections("remote"))
    content = own | readme | {"configMapGenerator": own["configMapGenerator"]}
    content["components"] = argocd["components"] + addresses["components"]
    app.commit(content)
    app.create()
    app.synced()

    assert len(room.stores("remote")) == 1
    assert room.api.get(room.name, "cronjobs", HOOK)["spec"]["suspend"] is False
    assert room.api.get(room.name, "configmaps", PUBLISHED)["data"].keys() == {"remote"}
    assert app.status() == ("Synced", "Healthy")


def test_what_openshift_and_the_hook_write_stays_in_sync(app: App) -> None:
    """The service CA in one ConfigMap, and the addresses in another one, which is not the app's."""
    room = app.room
    app.commit(room.kustomization("service-ca", "publish-ids", config=collections("written")))
    app.create({"automated": {"prune": True}})
    name = f"{HOOK}-service-ca"
    room.api.until("the ConfigMap of the service CA", lambda: room.api.get(room.name, "configmaps", name))
    room.api.patch(room.name, "configmaps", name, {"data": {"service-ca.crt": room.facts.ca}})
    assert room.outcome().complete
    room.api.until("the sync ends", lambda: app.operation().get("phase") == "Succeeded")

    assert app.status() == ("Synced", "Healthy")
    assert room.api.get(room.name, "configmaps", PUBLISHED)["data"].keys() == {"written"}


@pytest.mark.long(240)
def test_the_apps_health_is_that_of_the_last_self_heal_run(app: App) -> None:
    """Degraded from a failed run to the next good one, unless an annotation says that the CronJob does not count.

    Before the first good one a failed one does not count either.
    """
    room, name = app.room, "app_health"
    port = room.facts.servers["0.3.5"]
    minutely = {
        "target": {"kind": "CronJob"},
        "patch": '[{"op": "replace", "path": "/spec/schedule", "value": "* * * * *"}]',
    }

    def health(wanted: str) -> Callable[[], bool]:
        return lambda: app.live()["status"]["health"]["status"] == wanted

    content = room.kustomization("self-heal", config=collections(name))
    content["patches"].append(minutely)
    first = create_store(port, name)
    create_store(port, name)
    app.commit(content)
    app.create()
    assert app.sync().returncode != 0
    failed = room.scheduled(lambda outcome: not outcome.complete)
    assert app.status()[1] == "Healthy"
    delete_store(port, first)
    room.scheduled(lambda outcome: outcome.complete and outcome.began > failed.began)
    room.api.until("Healthy", health("Healthy"))
    second = create_store(port, name)
    room.api.until("Degraded after a run that found two", health("Degraded"))
    room.must("annotate", "cronjob", HOOK, f"{IGNORED}=true")
    room.api.until("Healthy where that CronJob does not count", health("Healthy"))
    room.must("annotate", "cronjob", HOOK, f"{IGNORED}-")
    room.api.until("Degraded where it does", health("Degraded"))
    delete_store(port, second)
    room.api.until("Healthy after a run that found one", health("Healthy"))


def test_the_chart_is_an_app_whose_job_is_a_postsync_hook(room: Room) -> None:
    """Two syncs run it twice, and Helm's test is no part of it."""
    chart = "manifests/helm/llamastack-register-collections"
    with App(room, path=chart) as app:
        app.commit()
        entry = {"vector_db_id": "argo_chart", "provider_id": "milvus-shared", "embedding_model": MODEL}
        values: dict[str, Any] = {"fullnameOverride": HOOK, "collections": [entry], "publishConfigMap": PUBLISHED}
        if room.facts.image:
            repository, _, tag = room.facts.image.rpartition(":")
            values["image"] = {"repository": repository, "tag": tag}
        app.create(helm={"valuesObject": values})
        app.synced()
        first = app.job_uid()
        app.synced()

        assert app.hook()["hookPhase"] == "Succeeded"
        assert app.job_uid() != first
        assert app.status() == ("Synced", "Healthy")
        assert {pod["metadata"]["labels"].get("job-name") for pod in room.api.get(room.name, "pods")} == {HOOK}
        assert len(room.stores("argo_chart")) == 1
