"""`examples/`: they do what they show, as far as that can be run without a cluster.

`make test-live` and `make demo` run the component for Kubeflow against real servers.
"""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hook import __version__
from hook.app import main
from tests.fake_llamastack import FakeLlamaStack, answer, closed_port
from tests.pages import PAGES
from tests.unit.conftest import entries

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = Path(sys.executable).parent
"""Where the hook is installed."""
CONFIG = json.dumps({"vector_dbs": entries()})


def sh(script: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script to its end, with these variables and a PATH."""
    whole = {"PATH": os.environ["PATH"]} | environ
    return subprocess.run(
        ["sh", script, *arguments], env=whole, capture_output=True, text=True, timeout=60, check=False
    )


class TestDeploy:
    """`deploy.sh` against a stand-in `oc`, which writes down what it is asked."""

    OC = """\
#!/bin/sh
echo "$*" >>"$FOLDER/calls"
case " $* " in
    *" create job "*) [ -e "$FOLDER/conditions" ] || { echo 'Error: jobs is forbidden' >&2; exit 1; } ;;
    *" get job "*True*)
        # Nothing yet at first, then an API server that stumbles, then what the Job has come to.
        case $(grep -c True "$FOLDER/calls") in 1) ;; 2) exit 1 ;; *) cat "$FOLDER/conditions" ;; esac ;;
    *" get job "*Failed*) echo 'Container failed with exit code 4' ;;
    *" get pods "*exitCode*) cat "$FOLDER/codes" ;;
    *" get pods "*) cat "$FOLDER/pods" ;;
    *" logs "*) cat "$FOLDER/log" ;;
    *) exit 99 ;;
esac
"""

    @pytest.fixture
    def deploy(self, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
        """Return a function that runs the script where `oc` answers with what files hold."""
        program = tmp_path / "bin" / "oc"
        program.parent.mkdir()
        program.write_text(self.OC)
        program.chmod(0o755)

        def call(wait_seconds: int = 60, **files: str) -> subprocess.CompletedProcess[str]:
            for name, content in files.items():
                (tmp_path / name).write_text(content)
            return sh(
                EXAMPLES / "deploy.sh",
                PATH=f"{program.parent}:{os.environ['PATH']}",
                FOLDER=str(tmp_path),
                NAMESPACE="rag",
                POLL_SECONDS="0",
                WAIT_SECONDS=str(wait_seconds),
            )

        return call

    def test_a_job_that_completes_is_a_success(self, deploy: Any, tmp_path: Path) -> None:
        """Whatever the polls in between say; its log is shown."""
        done = deploy(conditions="SuccessCriteriaMet Complete", log="3 collections registered and verified\n")

        assert done.returncode == 0
        assert "3 collections registered and verified" in done.stdout
        create, *others = (tmp_path / "calls").read_text().splitlines()
        (job,) = re.findall(r"create job (\S+) --from=cronjob/llamastack-register-collections$", create)
        assert all(f"job {job} " in call or f"job-name={job} " in call for call in others)
        assert all("--namespace rag " in call for call in (create, *others))

    def test_a_job_that_fails_ends_with_the_hook_s_exit_code(self, deploy: Any) -> None:
        """That of the last try, with its log and the Job's own message."""
        done = deploy(conditions="FailureTarget Failed", log="access is denied\n", codes="3 4")

        assert done.returncode == 4
        assert "access is denied" in done.stdout
        assert "failed, exit code 4: Container failed with exit code 4" in done.stderr

    @pytest.mark.parametrize("codes", ["", "3 ", "0"])
    def test_a_job_that_fails_without_an_exit_code_is_a_failure(self, deploy: Any, codes: str) -> None:
        """A pod that was never started, or that was deleted with its Job; what there is of it is shown."""
        done = deploy(conditions="Failed", codes=codes, pods="register-1  ImagePullBackOff\n")

        assert done.returncode == 1
        assert "ImagePullBackOff" in done.stdout

    def test_a_job_that_never_ends_is_not_awaited_for_ever(self, deploy: Any) -> None:
        done = deploy(wait_seconds=1, conditions="", log="waiting for the server\n")

        assert done.returncode == 1
        assert "waiting for the server" in done.stdout
        assert "has not ended within 1 s" in done.stderr

    def test_a_job_that_cannot_be_made_is_a_failure(self, deploy: Any, tmp_path: Path) -> None:
        """Nothing is awaited then."""
        done = deploy()

        assert done.returncode == 1
        assert "jobs is forbidden" in done.stderr
        assert len((tmp_path / "calls").read_text().splitlines()) == 1

    def test_a_log_that_cannot_be_had_does_not_change_the_result(self, deploy: Any) -> None:
        assert deploy(conditions="Complete").returncode == 0


class TestPreflight:
    """`preflight.sh` with the real hook."""

    @pytest.fixture
    def preflight(self, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
        """Return a function that runs the script; the pipeline prints its address."""
        (tmp_path / "collections.yaml").write_text(CONFIG)

        def call(url: str, *arguments: str, timeout: str = "5") -> subprocess.CompletedProcess[str]:
            return sh(
                EXAMPLES / "preflight.sh",
                *arguments,
                PATH=f"{SCRIPTS}:{os.environ['PATH']}",
                LLAMA_STACK_URL=url,
                HOOK_CONFIG=str(tmp_path / "collections.yaml"),
                HOOK_CONNECTIONS="1",
                HOOK_TIMEOUT_SECONDS=timeout,
            )

        return call

    PIPELINE = ("red_hat_docs", "sh", "-c", 'echo "ingesting $1 into $VECTOR_DB_ID"; exit 7', "sh", "a b")

    def test_the_pipeline_gets_the_address(self, server: FakeLlamaStack, preflight: Any) -> None:
        """And its arguments as they are; its exit code is the script's."""
        store_id = server.add("red_hat_docs")

        done = preflight(server.url, *self.PIPELINE)

        assert done.stdout == f"ingesting a b into {store_id}\n"
        assert done.returncode == 7

    def test_a_lost_collection_stops_the_pipeline(self, server: FakeLlamaStack, preflight: Any) -> None:
        server.lost_ids.add(server.add("red_hat_docs"))

        done = preflight(server.url, *self.PIPELINE)

        assert (done.returncode, done.stdout) == (5, "")
        assert "'red_hat_docs' is lost" in done.stderr
        assert done.stderr.endswith("(exit code 5, the cause is above): the pipeline is not launched.\n")

    def test_a_server_that_is_not_there_stops_the_pipeline(self, preflight: Any) -> None:
        with closed_port() as url:
            done = preflight(url, *self.PIPELINE, timeout="1")

        assert (done.returncode, done.stdout) == (3, "")

    @pytest.fixture
    def launcher(self, tmp_path: Path) -> Path:
        """Return one that maps a scenario to a collection, with the line that docs/addresses.md says to write."""
        (line,) = re.findall(r"^ *```bash\n(.*?)^ *```$", PAGES["docs/addresses.md"], re.MULTILINE | re.DOTALL)
        path = tmp_path / "launcher.sh"
        path.write_text(
            '#!/bin/bash\nset -e\nSCENARIO=$1\ndeclare -A VECTOR_DB_IDS=(["redhat"]="red_hat_docs")\n'
            f"{line.strip()}\nsh -c 'echo \"ingesting into $VECTOR_DB_ID\"'\n"
        )
        path.chmod(0o755)
        return path

    def test_a_launcher_changed_as_documented_takes_the_address(
        self, server: FakeLlamaStack, preflight: Any, launcher: Path
    ) -> None:
        store_id = server.add("red_hat_docs")

        done = preflight(server.url, "red_hat_docs", str(launcher), "redhat")

        assert done.stdout == f"ingesting into {store_id}\n"

    def test_and_alone_it_uses_the_name_as_before(self, launcher: Path) -> None:
        done = subprocess.run(
            ["bash", launcher, "redhat"], env={"PATH": os.environ["PATH"]}, capture_output=True, check=True
        )

        assert done.stdout == b"ingesting into red_hat_docs\n"

    def test_without_a_pipeline_it_asks_after_all_collections(self, server: FakeLlamaStack, preflight: Any) -> None:
        """And changes nothing."""
        server.add("red_hat_docs")

        done = preflight(server.url)

        assert done.returncode == 5
        assert "acme_corporate" in done.stdout
        assert server.names() == ["red_hat_docs"]


class TestTask:
    """`tekton-task.yaml`."""

    @pytest.fixture
    def task(self) -> Any:
        return yaml.safe_load((EXAMPLES / "tekton-task.yaml").read_text())

    @pytest.fixture
    def step(self, task: Any) -> Any:
        (only,) = task["spec"]["steps"]
        return only

    def test_it_has_the_form_of_a_task(self, task: Any, step: Any) -> None:
        """With no field that Tekton does not have, where its schema says nothing."""
        assert (task["apiVersion"], task["kind"]) == ("tekton.dev/v1", "Task")
        assert task["spec"].keys() == {"description", "params", "results", "volumes", "steps"}
        assert step.keys() == {"name", "image", "env", "volumeMounts", "securityContext", "script"}
        assert all(param.keys() <= {"name", "type", "description", "default"} for param in task["spec"]["params"])
        assert all(result.keys() <= {"name", "type", "description"} for result in task["spec"]["results"])
        assert [mount["name"] for mount in step["volumeMounts"]] == [v["name"] for v in task["spec"]["volumes"]]
        assert step["image"] == f"register-collections:{__version__}"

    def test_what_it_uses_is_declared_and_the_other_way_round(self, task: Any) -> None:
        spec = task["spec"]
        text = json.dumps({key: spec[key] for key in ("volumes", "steps")})

        assert set(re.findall(r"\$\(params\.([^)]+)\)", text)) == {param["name"] for param in spec["params"]}
        assert re.findall(r"\$\(results\.([^)]+)\.path\)", text) == [result["name"] for result in spec["results"]]

    def test_no_parameter_is_a_part_of_the_script(self, step: Any) -> None:
        """It would be run as one."""
        assert "$(params." not in step["script"]

    @pytest.fixture
    def run_step(self, task: Any, step: Any, tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
        """Return a function that runs the script as Tekton would, with its substitutions and mounts."""
        (tmp_path / "run.yaml").write_text(CONFIG)
        script = tmp_path / "script"
        script.write_text(step["script"].replace("$(results.address.path)", str(tmp_path / "address")))

        def call(url: str) -> subprocess.CompletedProcess[str]:
            params = {param["name"]: param.get("default") for param in task["spec"]["params"]}
            params |= {"collection": "red_hat_docs", "llama-stack-url": url}
            environ = {variable["name"]: substituted(variable["value"], params) for variable in step["env"]}
            environ["HOOK_CONFIG"] = environ["HOOK_CONFIG"].replace("/config/", f"{tmp_path}/")
            environ |= {"HOOK_TIMEOUT_SECONDS": "5", "HOOK_CONNECTIONS": "1"}
            return sh(script, PATH=f"{SCRIPTS}:{os.environ['PATH']}", **environ)

        return call

    def test_its_result_is_the_address(self, server: FakeLlamaStack, run_step: Any, tmp_path: Path) -> None:
        """Without a line's end, which the next Task would send."""
        store_id = server.add("red_hat_docs")

        assert run_step(server.url).returncode == 0
        assert (tmp_path / "address").read_text() == store_id

    def test_a_collection_that_is_not_usable_fails_it(
        self, server: FakeLlamaStack, run_step: Any, tmp_path: Path
    ) -> None:
        """With the hook's exit code, and without a result."""
        done = run_step(server.url)

        assert done.returncode == 5
        assert not (tmp_path / "address").exists()


def substituted(text: str, params: Mapping[str, Any]) -> str:
    """Return a text of a Task with its parameters put in."""
    return re.sub(r"\$\(params\.([^)]+)\)", lambda found: str(params[found[1]]), text)


class TestPods:
    """`ingest_*.yaml`: pods whose init container hands the address to the next container."""

    @pytest.fixture(params=["ingest_job.yaml", "ingest_helm_hook.yaml", "ingest_deployment.yaml"])
    def manifest(self, request: pytest.FixtureRequest) -> Any:
        return yaml.safe_load((EXAMPLES / request.param).read_text())

    @pytest.fixture
    def pod(self, manifest: Any) -> Any:
        return manifest["spec"]["template"]["spec"]

    @pytest.fixture
    def environ(self, pod: Any, server: FakeLlamaStack, tmp_path: Path) -> dict[str, str]:
        """Return the variables of the init container, for this server and with its files in a folder of the test."""
        (tmp_path / "run.yaml").write_text(CONFIG)
        found = {variable["name"]: variable["value"] for variable in pod["initContainers"][0]["env"]}
        found["HOOK_CONFIG"] = found["HOOK_CONFIG"].replace("/config/", f"{tmp_path}/")
        return found | {"LLAMA_STACK_URL": server.url, "HOOK_TIMEOUT_SECONDS": "5", "HOOK_CONNECTIONS": "1"}

    def test_it_has_the_form_of_its_kind(self, manifest: Any, pod: Any) -> None:
        kind = (manifest["apiVersion"], manifest["kind"])

        assert kind in (("batch/v1", "Job"), ("apps/v1", "Deployment"))
        assert pod.get("restartPolicy") == ("Never" if manifest["kind"] == "Job" else None)
        if manifest["kind"] == "Deployment":
            labels = manifest["spec"]["template"]["metadata"]["labels"]
            assert manifest["spec"]["selector"]["matchLabels"].items() <= labels.items()

    def test_it_passes_pod_security_restricted(self, pod: Any) -> None:
        """And asks for no UID, which OpenShift assigns."""
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert {kind for volume in pod["volumes"] for kind in volume} == {"name", "configMap", "emptyDir"}
        for container in (*pod["initContainers"], *pod["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }

    def test_a_quota_takes_it_and_a_job_ends(self, manifest: Any, pod: Any) -> None:
        """A ResourceQuota refuses pods without limits, and a Job without a deadline waits for its pod for ever."""
        for container in (*pod["initContainers"], *pod["containers"]):
            assert container["resources"]["limits"].keys() == {"cpu", "memory"}
        assert manifest["kind"] == "Deployment" or manifest["spec"]["activeDeadlineSeconds"] > 0

    def test_helm_hears_the_cause_before_its_own_time_is_over(self) -> None:
        """Of each hook, and what an init container may take has to be less than all of it."""
        spec = yaml.safe_load((EXAMPLES / "ingest_helm_hook.yaml").read_text())["spec"]
        (init,) = spec["template"]["spec"]["initContainers"]
        budget = next(each["value"] for each in init["env"] if each["name"] == "HOOK_TIMEOUT_SECONDS")

        assert spec["backoffLimit"] == 0
        assert float(budget) < spec["activeDeadlineSeconds"] < 300

    def test_each_mount_has_its_volume(self, pod: Any) -> None:
        init, main = pod["initContainers"][0], pod["containers"][0]

        assert [mount["name"] for mount in init["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
        assert main["volumeMounts"] == [{"name": "addresses", "mountPath": "/addresses", "readOnly": True}]
        assert init["image"] == f"register-collections:{__version__}"

    def hand_over(self, pod: Any, folder: Path, environ: dict[str, str]) -> int:
        """Run the program with the init container's arguments, which write into this folder."""
        return main([each.replace("/addresses/", f"{folder}/") for each in pod["initContainers"][0]["args"]], environ)

    def test_the_container_starts_with_the_address(
        self, pod: Any, server: FakeLlamaStack, tmp_path: Path, environ: dict[str, str]
    ) -> None:
        store_id = server.add("red_hat_docs")
        assert self.hand_over(pod, tmp_path, environ) == 0

        shell, flag, script = pod["containers"][0]["command"]
        program = tmp_path / re.findall(r"exec (\S+)", script)[0]
        program.write_text('#!/bin/sh\necho "$*"\n')
        program.chmod(0o755)
        script = script.replace("/addresses/", f"{tmp_path}/")
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run([shell, flag, script], env=path, capture_output=True, text=True, timeout=60, check=True)

        assert done.stdout == f"--vector-store {store_id}\n"

    def test_without_the_collection_it_does_not_start(
        self, pod: Any, tmp_path: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The init container fails with the hook's exit code, and leaves no file."""
        assert self.hand_over(pod, tmp_path, environ) == 5
        assert "'red_hat_docs' is missing" in capsys.readouterr().err
        assert not (tmp_path / "env").exists()


class TestComponent:
    """`kfp_component.py`, against scripted answers."""

    ARGUMENTS = ("model", "document-1", "A text.", "A question?")

    @pytest.fixture
    def component(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
        """Return the function as Kubeflow runs it: from its source alone."""
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        source = (EXAMPLES / "kfp_component.py").read_text()
        (function,) = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
        namespace: dict[str, Any] = {}
        exec(str(ast.get_source_segment(source, function)), namespace)
        found: Callable[..., str] = namespace["insert_and_query"]
        return found

    @pytest.fixture
    def server(self, server: FakeLlamaStack) -> FakeLlamaStack:
        """Return a stand-in that embeds, inserts and finds."""
        server.fault("POST /v1/embeddings", answer(200, {"data": [{"embedding": [0.5, 0.5]}]}))
        server.fault("POST /v1/vector-io/insert", lambda handler: handler.reply(204, None), times=1)
        server.fault("POST /v1/vector-io/query", answer(200, {"chunks": [{"content": "A text."}]}), times=1)
        return server

    def test_it_uses_the_address_of_its_environment(
        self, server: FakeLlamaStack, component: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where Kubeflow puts that of the ConfigMap."""
        monkeypatch.setenv("VECTOR_DB_ID", "vs_1")

        assert component(server.url, *self.ARGUMENTS) == "A text."
        _, insert, query = server.requests
        assert insert.body["vector_store_id"] == insert.body["vector_db_id"] == "vs_1"
        assert query.body["vector_store_id"] == query.body["vector_db_id"] == "vs_1"
        assert insert.body["chunks"][0]["embedding_dimension"] == 2

    def test_a_parameter_comes_before_the_environment(
        self, server: FakeLlamaStack, component: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VECTOR_DB_ID", "vs_1")
        component(server.url, *self.ARGUMENTS, vector_db_id="vs_2")

        assert server.requests[-1].body["vector_store_id"] == "vs_2"

    def test_a_refusal_fails_it_with_the_servers_words(self, server: FakeLlamaStack, component: Any) -> None:
        component(server.url, *self.ARGUMENTS, vector_db_id="vs_1")

        with pytest.raises(RuntimeError, match=r"insert answered 400: .*`vs_1` not served"):
            component(server.url, *self.ARGUMENTS, vector_db_id="vs_1")

    def test_a_text_that_is_not_found_fails_it(self, server: FakeLlamaStack, component: Any) -> None:
        server.faults[-1].action = answer(200, {"chunks": []})

        with pytest.raises(RuntimeError, match="does not find"):
            component(server.url, *self.ARGUMENTS, vector_db_id="vs_1")
