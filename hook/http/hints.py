"""What a server is called in a message, and what to do where it does not answer as it should."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hints:
    """What is true of LlamaStack, unless said otherwise. Each field but the first two is a remedy."""

    server: str = "LlamaStack"
    credential: str = "the API key"
    key: str = "check LLAMA_STACK_API_KEY_FILE (Helm: apiKeySecret.name)"
    """Where the credential is missing or not accepted."""
    rights: str = "check LLAMA_STACK_API_KEY_FILE (Helm: apiKeySecret.name), and its roles"
    """Where it is accepted, and has no right to what was asked."""
    address: str = "check LLAMA_STACK_URL"
    """Where another server answers, or nothing can be sent."""
    in_front: str = "use the Service's own URL in LLAMA_STACK_URL"
    """Where a login page or a proxy answers."""
    unresolved: str = "check LLAMA_STACK_URL and the namespace (SERVICE.NAMESPACE.svc)"
    refused: str = "check the port, then the pods (kubectl get pods,endpointslices -n NAMESPACE)"
    unreachable: str = "check LLAMA_STACK_URL, then the NetworkPolicies"
    failed: str = "see LlamaStack's log"
    plain: str = "use http:// in LLAMA_STACK_URL"
    """Where it does not speak TLS."""
    secure: str = "use https:// in LLAMA_STACK_URL"
    """Where it speaks nothing else."""
    authorities: str = "REQUESTS_CA_BUNDLE"
    """What names the certificate authorities to trust."""
    authority: str = "mount the CA that signed it and name it in REQUESTS_CA_BUNDLE"
    """Where nobody trusted has signed its certificate."""
    client_certificate: str = "check LLAMA_STACK_CLIENT_CERT and LLAMA_STACK_CLIENT_KEY"


def of_kubernetes(component: str) -> Hints:
    """Return the hints for the Kubernetes API, to which `component` of the manifests grants access."""
    address = "KUBERNETES_SERVICE_HOST and _PORT must lead to the API server itself"
    # A pod has no client certificate, so a server that requires one is not the API server.
    misdirected = ("address", "in_front", "unresolved", "refused", "plain", "client_certificate")
    return Hints(
        server="the Kubernetes API",
        credential="the pod's token",
        key="mount a new token of this cluster's ServiceAccount",
        rights=f"give the pod's ServiceAccount the Role of the component {component}",
        unreachable=f"{address}; then check the NetworkPolicies",
        failed="the API server may be overloaded or about to restart",
        authorities="the ca.crt beside the pod's token",
        authority="mount the ca.crt of this cluster beside the pod's token; if a proxy opens the connection, "
        "name the API server in NO_PROXY",
        **dict.fromkeys(misdirected, address),
    )


def of_oauth() -> Hints:
    """Return the hints for the authorization server that gives the tokens."""
    address = "check HOOK_OAUTH_TOKEN_URL (Helm: oauth.tokenUrl)"
    return Hints(
        server="a token endpoint",
        unreachable=f"{address}, then the NetworkPolicies",
        failed="see the authorization server's log",
        plain="use http:// in HOOK_OAUTH_TOKEN_URL",
        secure="use https:// in HOOK_OAUTH_TOKEN_URL",
        client_certificate=address,
        **dict.fromkeys(("key", "rights", "address", "in_front", "unresolved", "refused"), address),
    )


def of_proxy(host: str) -> Hints:
    """Return the hints for a proxy on the way to a host."""
    remedy = f"this is the proxy of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: correct it, or name {host} in NO_PROXY"
    return Hints("the proxy", unresolved=remedy, refused=remedy, unreachable=remedy, failed=remedy)
