"""All components together: a server with TLS and a token, OpenShift's UID, and a rollout that has to end first."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.kube import HOOK, IMAGE, PUBLISHED, UID, Api, Room, collections, deployment_spec
from tests.cluster.stack import TOKEN

pytestmark = pytest.mark.needs("a service CA of the tests' own")

NAME = "secured"
_taken = iter(range(8))


@pytest.fixture
def secure(api: Api, tmp_path: Path) -> Iterator[Room]:
    """Make a namespace whose Service is that of the server with TLS, and the Secret of docs/argocd.md."""
    with Room(api, f"secure-{next(_taken)}", tmp_path, server="secure") as room:
        room.secret(f"{HOOK}-api-key", TOKEN)
        yield room


def outcome(room: Room, *components: str, **settings: str) -> Any:
    """Install the base with these components and return what became of the hook."""
    url = {"LLAMA_STACK_URL": f"https://llama-stack-service.{room.name}.svc:8321", "HOOK_TIMEOUT_SECONDS": "60"}
    content = room.kustomization(*components, config=collections(NAME), **(url | settings))
    ids = [
        {"op": "add", "path": f"/spec/template/spec/securityContext/{key}", "value": UID}
        for key in ("runAsUser", "fsGroup")
    ]
    content["patches"].append({"target": {"kind": "Job"}, "patch": json.dumps(ids)})
    assert room.apply(content).returncode == 0
    if "service-ca" in components:
        # What OpenShift's operator does.
        room.api.patch(room.name, "configmaps", f"{HOOK}-service-ca", {"data": {"service-ca.crt": room.facts.ca}})
    return room.outcome()


class TestSecure:
    """One worker, since each test takes the next of the namespaces that the server's certificate names."""

    @pytest.mark.long(45)
    def test_all_components_together_register_and_publish(self, secure: Room) -> None:
        """The pod waits for the certificate authority, and the program for the rollout."""
        secure.secret(f"{HOOK}-consumer-api-key", TOKEN)
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "llama-stack"},
            "spec": deployment_spec(secure.facts.image or IMAGE) | {"minReadySeconds": 30},
        }
        secure.must("apply", "-f", "-", stdin=json.dumps(deployment))
        components = ("service-ca", "api-key", "consumer-api-key", "publish-ids", "rollout", "self-heal")
        run = outcome(secure, *components, HOOK_TIMEOUT_SECONDS="120")

        assert run.exit_codes == [0]
        # Not who registers it: a run of the CronJob may have waited beside this one.
        log, events = secure.logs(), ("rollout.retry_scheduled", "rollout.finished", "health.ready")
        waited, over, ready = map(log.find, events)
        assert -1 < waited < over < ready
        assert "1 collection registered and verified on " in run.last.message
        spec = run.last.pod["spec"]
        assert (spec["securityContext"] | spec["containers"][0]["securityContext"])["runAsUser"] == UID
        assert secure.api.get(secure.name, "configmaps", PUBLISHED)["data"].keys() == {NAME}
        assert secure.api.get(secure.name, "cronjobs", HOOK)["spec"]["suspend"] is False

    def test_a_wrong_token_is_exit_code_4(self, secure: Room) -> None:
        secure.must("delete", "secret", f"{HOOK}-api-key")
        secure.secret(f"{HOOK}-api-key", "wrong")

        assert outcome(secure, "service-ca", "api-key").exit_codes == [4]

    def test_no_token_is_exit_code_4(self, secure: Room) -> None:
        assert outcome(secure, "service-ca").exit_codes == [4]

    def test_a_certificate_of_an_unknown_authority_is_exit_code_4(self, secure: Room) -> None:
        assert outcome(secure, "api-key").exit_codes == [4]

    def test_a_name_that_the_certificate_has_not_is_exit_code_4(self, secure: Room) -> None:
        """Such as the short one."""
        run = outcome(secure, "service-ca", "api-key", LLAMA_STACK_URL="https://llama-stack-service:8321")

        assert run.exit_codes == [4]

    @pytest.mark.long(60)
    def test_http_to_it_is_exit_code_3_with_a_hint(self, secure: Room) -> None:
        """Its uvicorn closes the connection without an answer, as a pod about to go does."""
        url = "http://llama-stack-service:8321"
        run = outcome(secure, "api-key", LLAMA_STACK_URL=url, HOOK_TIMEOUT_SECONDS="5")

        assert run.exit_codes[-1] == 3
        assert "if it speaks TLS, use https:// in LLAMA_STACK_URL" in run.last.message

    def test_applying_anew_keeps_the_injected_certificate(self, secure: Room) -> None:
        assert outcome(secure, "service-ca", "api-key").exit_codes == [0]
        secure.must("apply", "-k", secure.folder / "app")
        injected = secure.api.get(secure.name, "configmaps", f"{HOOK}-service-ca")

        assert injected["data"]["service-ca.crt"] == secure.facts.ca
        assert secure.again().exit_codes == [0]
