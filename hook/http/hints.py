"""What a server is called in a message, and what to do where it cannot be reached or lets nobody in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """What is true of LlamaStack, unless said otherwise."""

    name: str = "LlamaStack"
    credential: str = "the API key"
    unaccepted: str = "was not accepted"
    """What is to say of the credential after a 401."""
    key: str = "check LLAMA_STACK_API_KEY_FILE"
    """What to do where the credential is not accepted, or not there."""
    rights: str = "check LLAMA_STACK_API_KEY_FILE"
    """What to do where it is accepted, and has no right to what was asked."""
    address: str = "use the Service's own URL"
    """What to do where somebody else answers."""
    plain: str = "use http:// in LLAMA_STACK_URL"
    """What to do where it does not speak TLS."""
    settings: str = "LLAMA_STACK_URL and HTTP_PROXY"
    """What says where it is."""
    authority: str = "mount the CA that signed it and name it in REQUESTS_CA_BUNDLE"
    """What to do where its certificate does not verify."""
    authorities: str = "REQUESTS_CA_BUNDLE"
    """What names the certificate authorities to trust."""
    handshake: str = (
        "it wants another client certificate, or one at all; check LLAMA_STACK_CLIENT_CERT and LLAMA_STACK_CLIENT_KEY"
    )
    """What to do where it ends the TLS handshake."""


LLAMA_STACK = Advice()


def of_kubernetes(component: str) -> Advice:
    """Return what is true of the Kubernetes API, for which `component` of the manifests gives the rights."""
    elsewhere = "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT have to lead to the API server itself"
    return Advice(
        name="the Kubernetes API",
        credential="the pod token",
        unaccepted="was not accepted: it is expired or of another cluster",
        key="mount the ServiceAccount's token of this cluster anew",
        rights=f"give the pod's ServiceAccount the Role of manifests/components/{component}",
        address=elsewhere,
        plain=elsewhere,
        settings="KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and HTTPS_PROXY",
        authority="the ca.crt beside the pod token is not that of this API server; mount that of this cluster, and "
        "name the API server in NO_PROXY where a proxy opens the connection",
        authorities="the ca.crt beside the pod token",
        # A pod shows no certificate: whoever wants one is somebody else.
        handshake=elsewhere,
    )
