"""The chart, by the commands of docs/helm.md."""

import json
import re
import subprocess
from collections.abc import Sequence

import pytest

from tests.cluster.kube import HOOK, IMAGE, MODEL, PUBLISHED, Room, create_store, delete_store, run
from tests.cluster.place import ARGOCD, ROOT

pytestmark = pytest.mark.needs("Helm")

CHART = ROOT / "manifests" / "helm" / "llamastack-register-collections"
RELEASE = "register-collections"
THE_CLUSTERS = re.compile(
    r"configmap/(kube-root-ca|openshift-service-ca)\.crt|serviceaccount/(default|builder|deployer)"
    rf"|role(binding)?\.rbac\.authorization\.k8s\.io/(system:|{ARGOCD}-).*"
)
REFUSED = (
    "--set-json",
    'collections=[{"vector_db_id": "x", "provider_id": "milvus-shared", "embedding_model": "no-such-model"}]',
)


class Helm:
    """Helm in a room."""

    def __init__(self, room: Room) -> None:
        self.room = room

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end; whether it may fail is the test's business."""
        return run("helm", *arguments, "--namespace", self.room.name)

    def chart(self, verb: str, *values: str, names: Sequence[str] = ("helm",)) -> subprocess.CompletedProcess[str]:
        """Install or upgrade the chart, with these collections unless values say others."""
        entries = [{"vector_db_id": name, "provider_id": "milvus-shared", "embedding_model": MODEL} for name in names]
        own = (
            ()
            if any(value.startswith("collections") for value in values)
            else ("--set-json", f"collections={json.dumps(entries)}")
        )
        repository, _, tag = (self.room.facts.image or f"registry.example/team/{IMAGE}").rpartition(":")
        image = ("--set-string", f"image.repository={repository},image.tag={tag}")
        return self(verb, RELEASE, str(CHART), *image, *own, *values)

    def must(self, verb: str, *values: str, names: Sequence[str] = ("helm",)) -> str:
        """Install or upgrade the chart, which has to succeed; return what Helm prints."""
        done = self.chart(verb, *values, names=names)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rollback_on_failure(self) -> str:
        """Return the flag, which Helm 3 calls by another name."""
        is_old = self("version", "--template={{.Version}}").stdout.startswith("v3")
        return "--atomic" if is_old else "--rollback-on-failure"

    def status(self) -> str:
        """Return the release's status."""
        return str(json.loads(self("status", RELEASE, "--output", "json").stdout)["info"]["status"])


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what Helm prints; Helm 4 quotes a pod's log, in one or more lines of its own log."""
    return (done.stdout + done.stderr).replace('"\nlevel=INFO msg="', "").replace("\\", "")


@pytest.fixture
def helm(room: Room) -> Helm:
    return Helm(room)


def test_an_install_registers_before_helm_says_so(helm: Helm) -> None:
    helm.must("install", names=["helm_installed"])

    assert helm.status() == "deployed"
    assert helm.room.outcome().exit_codes == [0]
    assert len(helm.room.stores("helm_installed")) == 1


def test_a_variable_of_the_chart_and_of_extra_env_is_taken_once(helm: Helm) -> None:
    """Helm 4 applies on the server, which refuses a list that names a variable twice."""
    extra = [{"name": "HOOK_TIMEOUT_SECONDS", "value": "100"}]
    for verb in ("install", "upgrade"):
        helm.must(verb, "--set-json", f"extraEnv={json.dumps(extra)}")
        (container,) = helm.room.job()["spec"]["template"]["spec"]["containers"]
        assert [each for each in container["env"] if each["name"] == "HOOK_TIMEOUT_SECONDS"] == extra


def test_each_upgrade_runs_the_hook_anew(helm: Helm) -> None:
    """Twice; the second one with everything on."""
    helm.must("install")
    uids = {helm.room.job()["metadata"]["uid"]}
    helm.must("upgrade", names=["helm", "helm_upgraded"])
    uids.add(helm.room.job()["metadata"]["uid"])
    helm.must(
        "upgrade", "--set", f"publishConfigMap={PUBLISHED},selfHeal.enabled=true", names=["helm", "helm_upgraded"]
    )
    uids.add(helm.room.job()["metadata"]["uid"])

    assert len(uids) == 3
    assert helm.room.api.get(helm.room.name, "configmaps", PUBLISHED)["data"].keys() == {"helm", "helm_upgraded"}
    assert helm.room.api.get(helm.room.name, "cronjobs", HOOK)["spec"]["suspend"] is False


def test_a_rollback_runs_no_hook(helm: Helm) -> None:
    """`helm test` verifies what it brought back."""
    helm.must("install")
    helm.must("upgrade", names=["helm", "helm_rolled_back"])
    uid = helm.room.job()["metadata"]["uid"]
    done = helm("rollback", RELEASE, "1", "--wait")

    assert done.returncode == 0, done.stderr
    assert helm.status() == "deployed"
    assert helm.room.job()["metadata"]["uid"] == uid
    assert helm("test", RELEASE).returncode == 0


def test_a_job_from_its_cronjob_registers_what_is_missing(helm: Helm) -> None:
    helm.must("install", names=["helm_cronjob"])
    (store,) = helm.room.stores("helm_cronjob")
    delete_store(helm.room.facts.servers["0.3.5"], store["id"])

    assert helm.room.again().exit_codes == [0]
    assert len(helm.room.stores("helm_cronjob")) == 1


def test_the_servers_configmap_can_be_the_list(helm: Helm) -> None:
    """As in the command of docs/helm.md."""
    entry = {"vector_db_id": "helm_existing", "provider_id": "milvus-shared", "embedding_model": MODEL}
    helm.room.configmap("llamastack-config", run_yaml=json.dumps({"vector_dbs": [entry]}))
    helm.must("install", "--set", "existingConfigMap.name=llamastack-config", "--set", "collections=null")

    assert len(helm.room.stores("helm_existing")) == 1


@pytest.mark.parametrize(
    ("values", "code", "says"),
    [
        (("--set-json", 'collections=[{"vector_db_id": "x y/z", "embedding_model": ""}]'), None, "embedding_model"),
        (("--set-json", 'collections=[{"vector_db_id": "a", "embedding_model": "${env.NOT_SET}"}]'), 2, "NOT_SET"),
        (REFUSED, 4, "no-such-model"),
        ((), 5, "is drifted"),
        (("--set", "timeoutSeconds=5,activeDeadlineSeconds=60"), 3, "within 5 s"),
        (("--set", f"publishConfigMap={PUBLISHED}"), 6, "immutable"),
    ],
    ids=["schema", "2", "4", "5", "3", "6"],
)
def test_a_failed_install_shows_the_programs_log(
    helm: Helm, values: Sequence[str], code: int | None, says: str
) -> None:
    """And the release is failed, with its objects there to be looked at; a value of a wrong form never gets so far."""
    if code == 5:
        create_store(helm.room.facts.servers["0.3.5"], "helm_failed_5", "faiss-first")
    if code == 3:
        helm.room.connect(None)
    if code == 6:
        helm.room.must("create", "configmap", PUBLISHED)
        helm.room.must("patch", "configmap", PUBLISHED, "--patch", '{"immutable": true}')
    done = helm.chart("install", *values, names=[f"helm_failed_{code}"])

    assert done.returncode != 0
    assert says in said(done)
    if code is None:
        assert helm.room.job() is None
        return
    assert f'"exit_code": {code}' in said(done)
    assert helm.status() == "failed"
    # What may work later is tried once more.
    assert helm.room.outcome().exit_codes == ([3, 3] if code == 3 else [code])


def test_a_failed_upgrade_shows_the_programs_log(helm: Helm) -> None:
    """And the release is failed."""
    helm.must("install")
    done = helm.chart("upgrade", *REFUSED)

    assert done.returncode != 0
    assert '"exit_code": 4' in said(done)
    assert helm.status() == "failed"


def test_an_atomic_upgrade_that_fails_is_rolled_back_unrun(helm: Helm) -> None:
    """What was registered before is still there, and the Job that stays is the failed one."""
    helm.must("install", names=["helm_atomic"])
    before = helm.room.stores("helm_atomic")
    done = helm.chart("upgrade", helm.rollback_on_failure(), *REFUSED)

    assert done.returncode != 0
    assert helm.status() == "deployed"
    assert helm.room.outcome().exit_codes == [4]
    assert helm.room.stores("helm_atomic") == before


def test_an_upgrade_after_a_failure_mends_the_release(helm: Helm) -> None:
    assert helm.chart("install", *REFUSED).returncode != 0
    helm.must("upgrade")

    assert helm.status() == "deployed"


def test_an_image_that_cannot_be_pulled_fails_at_the_deadline(helm: Helm) -> None:
    """Since no program ever starts; that Helm's own time is longer, the tests of the manifests show."""
    values = "timeoutSeconds=5,activeDeadlineSeconds=10,backoffLimit=0"
    done = helm.chart("install", "--set-string", "image.tag=none", "--set", values)
    outcome = helm.room.outcome()

    assert done.returncode != 0
    assert "context deadline exceeded" not in done.stderr
    assert outcome.reason == "DeadlineExceeded"
    assert outcome.exit_codes in ([], [None])


def of_the_chart(room: Room, kinds: str) -> set[str]:
    """Return what is there, but for what Kubernetes, OpenShift and its GitOps put into each namespace."""
    found = room.must("get", kinds, "--output=name").split()
    return {name for name in found if not THE_CLUSTERS.fullmatch(name)}


class TestTest:
    """`helm test`, which is `check`."""

    def test_it_succeeds_where_all_is_there(self, helm: Helm) -> None:
        helm.must("install")
        done = helm("test", RELEASE, "--logs")

        assert done.returncode == 0, done.stderr
        assert '"command": "check"' in done.stdout

    def test_it_fails_where_a_collection_is_gone_and_changes_nothing(self, helm: Helm) -> None:
        helm.must("install", names=["helm_tested"])
        delete_store(helm.room.facts.servers["0.3.5"], helm.room.stores("helm_tested")[0]["id"])
        done = helm("test", RELEASE)

        assert done.returncode != 0
        assert '"exit_code": 5' in said(done)
        assert helm.room.stores("helm_tested") == []


class TestUninstall:
    """`helm uninstall`, after everything that can be left behind was made."""

    @pytest.fixture
    def uninstalled(self, helm: Helm) -> tuple[Helm, str]:
        """Return what is left, and the notes that said so before."""
        notes = helm.must("install", "--set", f"publishConfigMap={PUBLISHED}", names=["helm_left"])
        assert helm("test", RELEASE).returncode == 0
        assert helm("uninstall", RELEASE, "--wait").returncode == 0
        return helm, notes

    def test_it_leaves_the_last_run_the_addresses_and_the_stores(self, uninstalled: tuple[Helm, str]) -> None:
        room = uninstalled[0].room

        assert of_the_chart(room, "job,cronjob,configmap,serviceaccount,role,rolebinding") == {
            f"job.batch/{HOOK}",
            f"configmap/{PUBLISHED}",
        }
        assert "hook.finished" in room.logs()
        assert len(room.stores("helm_left")) == 1

    def test_the_notes_say_how_to_remove_that(self, uninstalled: tuple[Helm, str]) -> None:
        """The command that they show leaves none of it."""
        helm, notes = uninstalled
        (command,) = [line.strip() for line in notes.splitlines() if line.strip().startswith("kubectl delete")]
        done = run("sh", "-c", command)

        assert done.returncode == 0, done.stderr
        assert of_the_chart(helm.room, "job,pod,configmap") == set()

    def test_it_can_be_installed_again_over_what_is_left(self, uninstalled: tuple[Helm, str]) -> None:
        helm = uninstalled[0]
        before = helm.room.stores("helm_left")
        helm.must("install", "--set", f"publishConfigMap={PUBLISHED}", names=["helm_left"])

        assert helm.room.stores("helm_left") == before
