"""Every rendering is valid, whole, and the same pod however it is run."""

import json
import re
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from hook.cli.flags import SETTINGS
from hook.config import file as config
from hook.deadline import Deadline
from tests.manifests.renderings import (
    CHART,
    CHARTS,
    COMPONENTS,
    DEPLOYMENT,
    EVERY,
    KUSTOMIZE_ALL,
    KUSTOMIZED,
    MANIFESTS,
    NAME,
    NAMESPACE,
    OPERATED,
    PUBLISHED,
    container,
    deployment,
    environment,
    helm_template,
    is_operated,
    job_specs,
    kustomize,
    objects,
    one,
    pod,
    render,
    run,
    text,
    tool,
)
from tests.pages import PAGES

OLDEST_KUBERNETES = 29
"""1.29: before, the schema wants `onPodConditions` in every rule of a podFailurePolicy."""

ACCEPTED_CHECKS = {
    "CKV_K8S_8": "a liveness probe: the pod of Helm's test runs a program to its end",
    "CKV_K8S_9": "a readiness probe: the same",
    "CKV_K8S_15": "imagePullPolicy Always: a released tag never moves, and a digest cannot; a registry that is down "
    "shall not stop the hook on a node that has the image",
    "CKV_K8S_21": "the default namespace: base and chart leave theirs to whoever installs them; stage02 has its own",
    "CKV_K8S_35": "a Secret as environment variables: only where one's own `envFrom` of the chart names it",
    "CKV_K8S_38": "a ServiceAccount token: only where it publishes or waits for a rollout, which need it",
    "CKV_K8S_40": "a high UID: OpenShift's restricted-v2 assigns one, and rejects a pod that asks for its own",
    "CKV_K8S_43": "image by digest: it is known only where the image was pushed; `images:` and the chart take one",
    "CKV2_K8S_6": "a NetworkPolicy: whom a namespace lets in and out is its owner's decision, and one for the hook "
    "would have to name the cluster's DNS",
}


DESCRIPTIONS = ("README.md", "icon.svg")
"""Files of the chart that no template reads."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every rendering as a file, without what is not Kubernetes' own."""
    path = tmp_path_factory.mktemp("renderings")
    for name in EVERY:
        (path / f"{name}.yaml").write_text(yaml.safe_dump_all(kubernetes_objects(name)))
    return path


def kubernetes_objects(name: str) -> list[Any]:
    return [o for o in objects(name) if o["kind"] != "PrometheusRule"]


@pytest.fixture(scope="session")
def kubernetes_versions() -> list[str]:
    """Return the versions from the oldest that is supported to the newest that kubernetes-validate knows."""
    newest = re.fullmatch(r"1\.(\d+)\.\d+", run(tool("kubernetes-validate"), "--version").stdout.strip())
    assert newest
    return [f"1.{minor}" for minor in range(OLDEST_KUBERNETES, int(newest[1]) + 1)]


def test_each_object_is_valid_in_each_kubernetes(folder: Path, kubernetes_versions: list[str]) -> None:
    versions = [argument for version in kubernetes_versions for argument in ("-k", version)]

    done = run(tool("kubernetes-validate"), "--strict", *versions, *sorted(folder.iterdir()))

    assert done.returncode == 0, done.stdout + done.stderr
    expected = len(kubernetes_versions) * sum(len(kubernetes_objects(name)) for name in EVERY)
    assert (done.stdout + done.stderr).count(" passed for resource ") == expected


def test_an_unknown_field_is_not_valid(tmp_path: Path, kubernetes_versions: list[str]) -> None:
    """Else the test above would prove nothing."""
    (tmp_path / "wrong.yaml").write_text(text("base").replace("backoffLimit:", "backofLimit:"))

    done = run(tool("kubernetes-validate"), "--strict", "-k", kubernetes_versions[-1], tmp_path / "wrong.yaml")

    assert done.returncode != 0


def test_checkov_objects_only_to_what_is_accepted_with_a_reason(folder: Path) -> None:
    done = run(tool("checkov"), "--framework", "kubernetes", "--skip-download", "--quiet", "-o", "json", "-d", folder)

    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 0
    assert {check["check_id"] for check in report["results"]["failed_checks"]} == ACCEPTED_CHECKS.keys()


@pytest.mark.parametrize("name", EVERY)
def test_job_and_cronjob_have_the_same_spec(name: str) -> None:
    hook, on_request = job_specs(name)

    assert on_request == hook


@pytest.mark.parametrize(("chart", "kustomized"), [("chart", "base"), ("chart+all", KUSTOMIZE_ALL[0])])
def test_the_chart_has_the_same_pod(chart: str, kustomized: str) -> None:
    """But for its budget: Helm waits for five minutes, in which there are two tries, and Argo CD for three of them."""
    assert sort_by_name(without_environment(pod(chart))) == sort_by_name(without_environment(pod(kustomized)))
    of_both = [environment(name) for name in (chart, kustomized)]
    assert of_both[0] == of_both[1] | {"HOOK_TIMEOUT_SECONDS": of_both[0]["HOOK_TIMEOUT_SECONDS"]}


def without_environment(template: Any) -> Any:
    (container,) = template["spec"]["containers"]
    rest = {key: value for key, value in container.items() if key not in ("env", "envFrom")}
    return template | {"spec": template["spec"] | {"containers": [rest]}}


def sort_by_name(value: Any) -> Any:
    """Return the value with its lists of named things in one order: kustomize puts what a patch adds first."""
    if isinstance(value, dict):
        return {key: sort_by_name(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((sort_by_name(inner) for inner in value), key=lambda inner: str(named(inner)))
    return value


def named(value: Any) -> Any:
    return value.get("name", value) if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ["own", "consumer", "chart", "chart+all"])
def test_the_program_loads_the_configuration_that_is_mounted(name: str, tmp_path: Path) -> None:
    """From the ConfigMap that the pod names, under the path that its environment names."""
    (volume,) = (v["configMap"] for v in pod(name)["spec"]["volumes"] if v["name"] == "config")
    data = one(name, "ConfigMap", volume["name"])["data"]
    mounted = {item["path"]: data[item["key"]] for item in volume.get("items", ())} or data
    for path, content in mounted.items():
        (tmp_path / path).write_text(content)
    (mount,) = (m["mountPath"] for m in container(name)["volumeMounts"] if m["name"] == "config")

    path = Path(environment(name)["HOOK_CONFIG"])
    loaded = config.load([tmp_path / path.relative_to(mount)], {}, Deadline(10))

    expected = ["red_hat_docs"] if name in ("own", "consumer") else ["red_hat_docs", "acme_corporate", "eu_ai_act"]
    assert [collection.name for collection in loaded.collections] == expected


@pytest.mark.parametrize("name", EVERY)
def test_each_mount_has_its_volume(name: str) -> None:
    mounts = {mount["name"] for mount in container(name)["volumeMounts"]}

    assert mounts == {volume["name"] for volume in pod(name)["spec"]["volumes"]}


@pytest.mark.parametrize("name", KUSTOMIZED)
def test_each_component_does_what_it_is_for(name: str) -> None:
    """And nothing where it is not asked for; so each composes with base and overlay, and with the others."""
    variables = environment(name)

    assert [component for component in COMPONENTS if component in name.split("+")] == [
        component
        for component, done in (
            ("service-ca", "REQUESTS_CA_BUNDLE" in variables),
            ("api-key", "LLAMA_STACK_API_KEY_FILE" in variables),
            ("consumer-api-key", "HOOK_CONSUMER_API_KEY_FILE" in variables),
            ("self-heal", one(name, "CronJob")["spec"]["suspend"] is False),
            ("publish-ids", "HOOK_PUBLISH_CONFIGMAP" in variables),
            ("rollout", "HOOK_WAIT_FOR_DEPLOYMENT" in variables and not is_operated(name)),
            ("alerts", "PrometheusRule" in {o["kind"] for o in objects(name)}),
        )
        if done
    ]


@pytest.mark.parametrize("root", ["base", "overlays/stage02", *(f"overlays/{overlay}" for overlay in OPERATED)])
def test_the_components_compose_in_any_order(root: str) -> None:
    """Each pair in both orders: what two do not undo for each other, more do not either."""
    with_rollout = Path(root).name in OPERATED
    for pair in combinations([each for each in COMPONENTS if not with_rollout or each != "rollout"], 2):
        rendered = []
        for order in (pair, pair[::-1]):
            components = [f"../manifests/components/{component}" for component in order]
            kustomization = {"resources": [f"../manifests/{root}"], "components": components, "namespace": NAMESPACE}
            done = kustomize(kustomization)
            assert done.returncode == 0, f"{order}: {done.stderr}"
            rendered.append(sort_by_name(sorted(yaml.safe_load_all(done.stdout), key=str)))
        assert rendered[0] == rendered[1], pair


def test_self_heal_runs_every_15_minutes() -> None:
    assert one("base+self-heal", "CronJob")["spec"]["schedule"] == "*/15 * * * *"


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("REQUESTS_CA_BUNDLE", "base+service-ca"),
        ("LLAMA_STACK_API_KEY_FILE", "base+api-key"),
        ("HOOK_CONSUMER_API_KEY_FILE", "base+consumer-api-key"),
    ],
)
def test_each_file_that_a_variable_names_is_mounted(variable: str, name: str) -> None:
    path = Path(environment(name)[variable])
    (mount,) = (m["name"] for m in container(name)["volumeMounts"] if m["mountPath"] == str(path.parent))
    (volume,) = (v for v in pod(name)["spec"]["volumes"] if v["name"] == mount)
    items = volume.get("configMap", volume.get("secret"))["items"]

    assert [item["path"] for item in items] == [path.name]


def test_openshift_fills_the_bundle_that_is_mounted() -> None:
    (volume,) = (v for v in pod("base+service-ca")["spec"]["volumes"] if v["name"] == "service-ca")
    configmap = one("base+service-ca", "ConfigMap", volume["configMap"]["name"])

    assert configmap["metadata"]["annotations"] == {"service.beta.openshift.io/inject-cabundle": "true"}
    assert [item["key"] for item in volume["configMap"]["items"]] == ["service-ca.crt"]


@pytest.mark.parametrize("name", ["consumer", *(name for name in KUSTOMIZED if name.startswith("stage02"))])
def test_stage02_is_for_its_namespace(name: str) -> None:
    assert {o["metadata"]["namespace"] for o in objects(name)} == {"private-ai-demo"}
    assert environment(name)["LLAMA_STACK_URL"] == "http://llama-stack-service.private-ai-demo.svc:8321"


def test_stage02_has_no_list_of_its_own() -> None:
    """The server's own ConfigMap is the one source of truth there."""
    assert [o["kind"] for o in objects("stage02")] == ["ServiceAccount", "ConfigMap", "CronJob", "Job"]
    assert one("stage02", "ConfigMap", f"{NAME}-settings")


@pytest.mark.parametrize("name", [name for name in KUSTOMIZED if is_operated(name)])
def test_an_operators_server_is_asked_at_its_service(name: str) -> None:
    """Kubernetes expands `$(…)` by the variables that stand above it, and by no other."""
    variables = environment(name)

    assert variables["SERVER_NAME"] == deployment(name)
    assert variables["SERVER_PORT"] == "8321"
    assert variables["LLAMA_STACK_URL"] == "http://$(SERVER_NAME)-service:$(SERVER_PORT)"
    order = list(variables)
    assert max(order.index("SERVER_NAME"), order.index("SERVER_PORT")) < order.index("LLAMA_STACK_URL")


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [("ogx-server", "ogx-config"), ("llama-stack-distribution", "llama-stack-config")],
)
def test_an_operators_server_shares_its_configuration(overlay: str, expected: str) -> None:
    """The ConfigMap that the server itself reads is mounted, and there is no list beside it."""
    (volume,) = (v["configMap"] for v in pod(overlay)["spec"]["volumes"] if v["name"] == "config")

    assert volume == {"name": expected, "items": [{"key": "config.yaml", "path": "config.yaml"}]}
    assert environment(overlay)["HOOK_CONFIG"] == "/config/config.yaml"
    assert [o["metadata"]["name"] for o in objects(overlay) if o["kind"] == "ConfigMap"] == [f"{NAME}-settings"]


SERVERS = {
    "ogx-server": {
        "apiVersion": "ogx.io/v1beta1",
        "kind": "OGXServer",
        "metadata": {"name": "other"},
        "spec": {"network": {"port": 9000}, "overrideConfig": {"name": "other-config", "key": "stack.yaml"}},
    },
    "llama-stack-distribution": {
        "apiVersion": "llamastack.io/v1alpha1",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": "other"},
        "spec": {"server": {"containerSpec": {"port": 9000}, "userConfig": {"configMapName": "other-config"}}},
    },
}


@pytest.mark.parametrize("overlay", OPERATED)
def test_another_server_is_one_file(overlay: str, tmp_path: Path) -> None:
    """No other file of the overlay names it, its port, its ConfigMap or the key; and where it goes is in one more."""
    copy = tmp_path / "manifests"
    shutil.copytree(MANIFESTS, copy)
    server = copy / "overlays" / overlay / "server.yaml"
    server.write_text(json.dumps(SERVERS[overlay]))
    own = copy / "overlays" / overlay / "kustomization.yaml"
    images = [{"name": "register-collections", "newName": "registry.example/hook", "newTag": "7"}]
    own.write_text(json.dumps(yaml.safe_load(own.read_text()) | {"namespace": "mine", "images": images}))

    done = kustomize({"resources": [f"../manifests/overlays/{overlay}"]}, copy)

    rendered = {o["kind"]: o for o in yaml.safe_load_all(done.stdout)}
    spec = rendered["Job"]["spec"]["template"]["spec"]
    variables = {variable["name"]: variable["value"] for variable in spec["containers"][0]["env"]}
    (volume,) = (v["configMap"] for v in spec["volumes"] if v["name"] == "config")
    key = "stack.yaml" if overlay == "ogx-server" else "config.yaml"
    assert (variables["SERVER_NAME"], variables["HOOK_WAIT_FOR_DEPLOYMENT"]) == ("other", "other")
    assert variables["SERVER_PORT"] == "9000"
    assert volume == {"name": "other-config", "items": [{"key": key, "path": "config.yaml"}]}
    assert rendered["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"] == spec
    assert [rule["resourceNames"] for rule in rendered["Role"]["rules"]] == [["other"], ["other"], ["other-config"]]
    assert spec["containers"][0]["image"] == "registry.example/hook:7"
    assert {o["metadata"]["namespace"] for o in rendered.values()} == {"mine"}


WATCHED = {"ogx-server": "ogx.io/watch", "llama-stack-distribution": "llamastack.io/watch"}
"""The label without which an operator does not see a ConfigMap, or sees its changes late."""


@pytest.mark.parametrize("component", OPERATED)
def test_it_stands_beside_the_whole_server_of_an_app(component: str) -> None:
    """With its ConfigMap from a generator, whose hash the server, the pods and the Role then name."""
    done = kustomize(
        {
            "namespace": NAMESPACE,
            "resources": ["../manifests/base", "server.yaml"],
            "components": [f"../manifests/components/{component}-configmap"],
            "configMapGenerator": [{"name": "other-config", "literals": ["stack.yaml=vector_dbs: []"]}],
        },
        files={"server.yaml": json.dumps(SERVERS[component])},
    )

    assert done.returncode == 0, done.stderr
    rendered = {o["kind"]: o for o in yaml.safe_load_all(done.stdout)}
    spec = rendered["Job"]["spec"]["template"]["spec"]
    (volume,) = (v["configMap"] for v in spec["volumes"] if v["name"] == "config")
    generated = rendered["ConfigMap"]["metadata"]["name"]
    assert generated.startswith("other-config-")
    assert volume["name"] == generated
    assert rendered["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"] == spec
    assert rendered["Role"]["rules"][2]["resourceNames"] == [generated]
    server = rendered[SERVERS[component]["kind"]]["spec"]
    assert generated in (server.get("overrideConfig") or server["server"]["userConfig"]).values()


def test_the_pages_kustomization_beside_a_server_renders() -> None:
    """As it stands there: the ConfigMap is the server's, and its operator sees it."""
    (shown,) = re.findall(r"<!-- beside -->\n```yaml\n(.*?)```", PAGES["docs/operators.md"], re.DOTALL)
    server = SERVERS["ogx-server"] | {"spec": {"overrideConfig": {"name": "rag-config", "key": "config.yaml"}}}
    kustomization = yaml.safe_load(shown.replace("register-collections/", "../manifests/"))

    done = kustomize(kustomization, files={"ogx-server.yaml": json.dumps(server), "config.yaml": "vector_dbs: []"})

    assert done.returncode == 0, done.stderr
    rendered = {o["kind"]: o for o in yaml.safe_load_all(done.stdout)}
    metadata = rendered["ConfigMap"]["metadata"]
    assert metadata["labels"] == {"ogx.io/watch": "true"}
    assert rendered["OGXServer"]["spec"]["overrideConfig"]["name"] == metadata["name"]


@pytest.mark.parametrize("component", OPERATED)
def test_its_operator_sees_the_configmap_of_an_app(component: str) -> None:
    """By a label, which one from a generator gets there."""
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other-config"}}
    done = kustomize(
        {
            "namespace": NAMESPACE,
            "resources": ["../manifests/base", "server.yaml", "configmap.yaml"],
            "components": [f"../manifests/components/{component}-configmap"],
        },
        files={"server.yaml": json.dumps(SERVERS[component]), "configmap.yaml": json.dumps(configmap)},
    )

    assert done.returncode == 0, done.stderr
    found = [o["metadata"] for o in yaml.safe_load_all(done.stdout) if o["kind"] == "ConfigMap"]
    assert {each["name"] for each in found} == {"other-config", f"{NAME}-settings"}
    assert [each["labels"] for each in found] == [{WATCHED[component]: "true"}] * 2


@pytest.mark.parametrize("component", OPERATED)
def test_two_servers_in_one_kustomization_are_refused(component: str) -> None:
    """Whose name it is to take cannot be told, and kustomize says so."""
    second = SERVERS[component] | {"metadata": {"name": "second"}}
    done = kustomize(
        {
            "namespace": NAMESPACE,
            "resources": ["../manifests/base", "server.yaml", "second.yaml"],
            "components": [f"../manifests/components/{component}-configmap"],
        },
        files={"server.yaml": json.dumps(SERVERS[component]), "second.yaml": json.dumps(second)},
    )

    assert done.returncode != 0
    assert "multiple matches for selector" in done.stderr


@pytest.mark.parametrize("component", OPERATED)
def test_a_server_beside_the_base_gives_its_name(component: str) -> None:
    """With a list of one's own, and no name written anywhere."""
    done = kustomize(
        {
            "namespace": NAMESPACE,
            "resources": ["../manifests/base", "server.yaml"],
            "components": [f"../manifests/components/{component}"],
        },
        files={"server.yaml": json.dumps(SERVERS[component])},
    )

    rendered = {o["kind"]: o for o in yaml.safe_load_all(done.stdout)}
    spec = rendered["Job"]["spec"]["template"]["spec"]
    assert {"name": "SERVER_NAME", "value": "other"} in spec["containers"][0]["env"]
    assert {"name": "config", "configMap": {"name": NAME}} in spec["volumes"]
    assert f"name: {NAME}\n" in done.stdout.partition("kind: ConfigMap")[2]
    assert rendered[SERVERS[component]["kind"]]["metadata"]["name"] == "other"


def documented_kustomizations() -> list[dict[str, Any]]:
    """Return what the pages tell people to write, the parts of each put together until one comes again."""
    found: list[dict[str, Any]] = []
    for page in PAGES.values():
        whole: dict[str, Any] = {}
        # The one beside a server has a test of its own.
        for block in re.findall(r"(?<!<!-- beside -->\n)```yaml\n(.*?)```", page, re.DOTALL):
            part = next(yaml.safe_load_all(block))
            if part.keys() <= {"namespace", "resources", "components", "images", "patches", "configMapGenerator"}:
                # A further generator joins those before it.
                generators = [*whole.get("configMapGenerator", []), *part.pop("configMapGenerator", [])]
                if not whole or part.keys() & whole.keys():
                    whole, generators = {}, generators[len(whole.get("configMapGenerator", [])) :]
                    found.append(whole)
                whole |= part | ({"configMapGenerator": generators} if generators else {})
    return found


def test_what_is_documented_renders() -> None:
    kustomizations = documented_kustomizations()

    assert len(kustomizations) >= 4
    for kustomization in kustomizations:
        here = re.sub(r"\$SOURCE//manifests/([^?]+)\?ref=[^\"]+", r"../manifests/\1", json.dumps(kustomization))
        assert "$SOURCE" not in here
        here = here.replace('"register-collections/overlays', '"../manifests/overlays')
        files = {"ogx-server.yaml": json.dumps(SERVERS["ogx-server"]), "config.yaml": "vector_dbs: []"}
        done = kustomize(json.loads(here), files=files)
        assert done.returncode == 0, done.stderr
        assert "kind: CronJob" in done.stdout


def files() -> list[str]:
    """Return the files that are rendered: those of `argocd` are for Argo CD itself."""
    paths = (path.relative_to(MANIFESTS) for path in MANIFESTS.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.parts[0] != "argocd" and path.name not in DESCRIPTIONS)


@pytest.mark.parametrize("file", files())
def test_each_file_is_reached_by_a_rendering(file: str, tmp_path: Path) -> None:
    """Without it, or with nonsense in it where the renderer takes what there is, some rendering fails."""
    copy = tmp_path / "manifests"
    shutil.copytree(MANIFESTS, copy)
    if Path(file).is_relative_to(CHART):
        (copy / file).write_text("{{")
        renderings: tuple[str, ...] = ("chart",)
    else:
        (copy / file).unlink()
        renderings = KUSTOMIZE_ALL

    assert any(render(name, copy).returncode != 0 for name in renderings)


def test_helm_lints_the_chart() -> None:
    done = run(tool("helm"), "lint", "--strict", MANIFESTS / CHART)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("timeoutSeconds=135", "activeDeadlineSeconds must be above"),
        ("backoffLimit=2", "activeDeadlineSeconds must be above"),
        ("timeoutSeconds=90,backoffLimit=2", "activeDeadlineSeconds must be above"),
        ("collection=x", "collection' not allowed"),
        ("image.digest=latest", "does not match pattern"),
        ("collections[0].vector_db_id=a,collections[0].embedding_dimension=many", "does not match pattern"),
        ("collections[0].provider_id=a", "missing property 'vector_db_id'"),
        ("collections[0].vector_store_id=a,collections[0].provider_vector_db_id=b", "not allowed"),
        ("collections[0].vector_db_id=a,collections[0].vector_store_name=b", "not allowed"),
        ("collections[0].vector_store_id=a,collections[0].metadata.owner[0]=b", "metadata"),
        ("fullnameOverride=" + "n" * 53, "maxLength"),
        ("commonLabels.app=ogx", "'not' failed"),
        (r"commonAnnotations.helm\.sh/hook=pre-install", "invalid propertyName"),
        (r"podAnnotations.sidecar\.istio\.io/inject=x", "invalid propertyName"),
        ("extraInitContainers[0].name=wait", "missing property 'image'"),
        ("serviceAccount.created=false", "not allowed"),
        ("tolerations[0].effect=Sometimes", "must be one of"),
        ("affinity.nodes.x=y", "not allowed"),
        ("topologySpreadConstraints[0].maxSkew=1", "missing properties"),
        ("ttlSecondsAfterFinished=-1", "minimum"),
        ("prometheusRule.interval=1m", "not allowed"),
        ("allowEmpty=true,extraEnv[0].name=A,extraEnv[1].name=A", "extraEnv names A twice: keep one"),
        ("waitForDeployment=Not_A_Name", "does not match pattern"),
        ("connections=0", "minimum"),
        ("connections=201", "maximum"),
        ("prove=nothing", "must be one of"),
        ("onLost=forget", "must be one of"),
        ("onUnproven=ignore", "must be one of"),
        ("podLabels.app=llama-stack", "'not' failed"),
        (r"podLabels.app\.kubernetes\.io/name=other", "false schema"),
        (r"podLabels.app\.kubernetes\.io/instance=other", "false schema"),
        ("extraVolumes[0].name=host,extraVolumes[0].hostPath.path=/", "false schema"),
        ("extraVolumes[0].name=tmp,extraVolumes[0].emptyDir.medium=Memory", "'not' failed"),
        ("extraVolumeMounts[0].name=x", "missing property 'mountPath'"),
        ("envFrom[0].prefix=X_", "missing property"),
        ("publishConfigMap=Not_A_Name", "does not match pattern"),
        ("publishConfigMap=llamastack-register-collections,allowEmpty=true", "must not be the ConfigMap that declares"),
        ("publishConfigMap=run,existingConfigMap.name=run", "must not be the ConfigMap that declares"),
    ],
)
def test_the_chart_refuses_values_that_cannot_work(values: str, message: str) -> None:
    done = helm_template(MANIFESTS / CHART, "--set", values)

    assert done.returncode != 0
    assert message in done.stderr


def test_the_chart_as_it_is_has_nothing_to_register() -> None:
    """It says so before anything is installed."""
    done = helm_template(MANIFESTS / CHART)

    assert done.returncode != 0
    assert "nothing to register: set collections, existingConfigMap.name or allowEmpty" in done.stderr


def test_the_chart_keeps_the_text_of_values() -> None:
    """A substitution is LlamaStack's, and a number in quotes stays text."""
    done = helm_template(
        MANIFESTS / CHART,
        "--set-json",
        'collections=[{"vector_db_id": "007", "embedding_model": "${env.MODEL:=a: b}"}]',
        "--show-only",
        "templates/configmap.yaml",
    )

    assert 'vector_db_id: "007"' in done.stdout
    assert "'${env.MODEL:=a: b}'" in done.stdout


def test_the_chart_declares_each_collection_where_its_id_is(tmp_path: Path) -> None:
    """And an alias and metadata of a vector store are the program's."""
    values = [
        {"vector_store_id": "hr", "vector_store_name": "HR documents", "metadata": {"owner": "hr", "since": 1000000}},
        {"vector_db_id": "red_hat_docs", "embedding_dimension": 768},
    ]
    done = helm_template(
        MANIFESTS / CHART,
        "--set-json",
        f"collections={json.dumps(values)}",
        "--show-only",
        "templates/configmap.yaml",
    )
    path = tmp_path / "configmap.yaml"
    path.write_text(done.stdout)

    found = config.load([path], {}, Deadline(10)).collections

    assert [(each.name, each.alias, each.metadata, each.embedding_dimension) for each in found] == [
        ("red_hat_docs", None, {}, 768),
        ("hr", "HR documents", {"owner": "hr", "since": 1000000}, None),
    ]


def test_the_chart_hands_its_settings_on() -> None:
    """What is the program's own default is left out."""
    settings = {
        "HOOK_ALLOW_EMPTY": "true",
        "HOOK_REQUEST_TIMEOUT_SECONDS": "10",
        "HOOK_CONNECTIONS": "40",
        "HOOK_PROVE": "read",
        "HOOK_ON_DUPLICATE": "oldest",
        "HOOK_ON_LOST": "recreate",
        "HOOK_ON_UNPROVEN": "fail",
        "HOOK_PUBLISH_CONFIGMAP": PUBLISHED,
        "HOOK_WAIT_FOR_DEPLOYMENT": DEPLOYMENT,
        "HOOK_OUTPUT": "text",
        "HOOK_LOG_LEVEL": "debug",
        "HOOK_LOG_FORMAT": "console",
    }

    assert settings.items() <= environment("chart+settings").items()
    assert not settings.keys() & environment("chart").keys()


def test_the_chart_has_a_value_for_each_setting_of_the_program() -> None:
    """One that is new is wanted in `_job.tpl`, `values.yaml` and its schema, and in `chart+settings` here.

    A key is chosen by `existingConfigMap.key`, which alone is mounted.
    """
    assert {setting.variable for setting in SETTINGS} - {"HOOK_CONFIG_KEY"} == environment("chart+settings").keys()


@pytest.mark.parametrize(
    ("key", "variable"),
    [("logLevel", "HOOK_LOG_LEVEL"), ("onLost", "HOOK_ON_LOST"), ("onUnproven", "HOOK_ON_UNPROVEN")],
)
def test_the_chart_offers_the_program_s_choices(key: str, variable: str) -> None:
    schema = json.loads((MANIFESTS / CHART / "values.schema.json").read_text())
    (choices,) = (setting.choices for setting in SETTINGS if setting.variable == variable)

    assert tuple(schema["properties"][key]["enum"]) == choices


def test_the_chart_adds_to_the_pod_what_it_is_given() -> None:
    """To both pods, which another test compares; and what the hook needs itself stays as it was."""
    own, plain = pod("chart+existing"), pod("chart")

    assert own["metadata"]["labels"] == plain["metadata"]["labels"] | {"team": "rag"}
    assert own["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    assert container("chart+existing")["envFrom"] == [
        {"configMapRef": {"name": "proxies"}},
        {"secretRef": {"name": "credentials", "optional": True}},
    ]
    assert environment("chart+existing")["HTTPS_PROXY"] == "http://proxy:3128"
    assert {"name": "client", "secret": {"secretName": "client-certificate"}} in own["spec"]["volumes"]
    assert container("chart+existing")["volumeMounts"][:-1] == container("chart")["volumeMounts"]
    assert container("chart+existing")["volumeMounts"][-1] == {
        "name": "client",
        "mountPath": "/etc/client",
        "readOnly": True,
    }


@pytest.mark.parametrize("name", CHARTS)
def test_the_chart_says_how_to_read_and_to_repeat_a_run(name: str) -> None:
    notes = (MANIFESTS / CHART / "templates" / "NOTES.txt").read_text()

    assert "job/{{ $name }}" in notes
    assert "--from=cronjob/{{ $name }}" in notes
    assert one(name, "CronJob")["metadata"]["name"] == NAME
