"""The server and who asks it: the hook, and the consumers, each with credentials of its own."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from hook.cli.values import SETTING, Values
from hook.http import Address, Endpoint, OAuthClient, check_expanded, of_oauth, read_address, read_headers
from hook.secrets import check_token, keep_out, read_token

API_KEY_VARIABLE = "LLAMA_STACK_API_KEY"
CLIENT_CERTIFICATE_VARIABLES = ("LLAMA_STACK_CLIENT_CERT", "LLAMA_STACK_CLIENT_KEY")
_TOKEN_URL = "https://keycloak.example/realms/REALM/protocol/openid-connect/token"  # noqa: S105  an example


def server(values: Values) -> Endpoint:
    """Return LlamaStack with the hook's own credentials."""
    url, source = values.text("--url")
    key_file, key = values.file("--api-key-file", read_token), values.environ.get(API_KEY_VARIABLE, "").strip()
    keep_out(key)
    try:
        check_expanded(key)
        check_token(key)
    except ValueError as error:
        values.problems.append(f"{API_KEY_VARIABLE}: {error}")
    try:
        address = read_address(str(url), str(SETTING["--url"].default))
    except ValueError as error:
        values.problems.append(f"{source}: {error}")
        address = Address("")
    keep_out(address.secret)
    if address.url.endswith("/v1"):
        values.problems.append(f"{source}: leave out the /v1 at its end; the hook adds it")
    user = address.credentials
    certificate, certificate_key = (values.environ.get(name) for name in CLIENT_CERTIFICATE_VARIABLES)
    both = (certificate, certificate_key) if certificate and certificate_key else None
    if both is None and (certificate or certificate_key):
        values.problems.append(f"{' and '.join(CLIENT_CERTIFICATE_VARIABLES)}: only one is set; mTLS needs both")
    authority = values.environ.get("REQUESTS_CA_BUNDLE") or None
    own = Endpoint(address.url, key or None, key_file, user, client_certificate=both, ca_bundle=authority)
    own = _with_client(values, "--oauth", own)
    keys = {
        API_KEY_VARIABLE: key,
        values.text("--api-key-file")[1]: key_file,
        f"user in {source}": user,
        values.text("--oauth-client-id")[1]: own.oauth,
    }
    _check_one(values, keys)
    return _with_headers(values, "--headers-file", "headersSecret.name", own)


def consumer(values: Values, hook: Endpoint) -> Endpoint | None:
    """Return the hook's server with nothing but the consumers' own credentials, or None where they have none."""
    path = values.file("--consumer-api-key-file", read_token)
    own = Endpoint(hook.url, None, path, client_certificate=hook.client_certificate, ca_bundle=hook.ca_bundle)
    if path is not None:
        own = _with_hint(own, "--consumer-api-key-file", "consumerApiKeySecret.name")
    own = _with_client(values, "--consumer-oauth", own)
    url, source = values.text("--oauth-token-url")
    if url and not (hook.oauth or own.oauth or values.problems):
        values.problems.append(f"{source}: set the client as well, as HOOK_OAUTH_CLIENT_ID and its secret's file")
    _check_one(
        values,
        {
            values.text(flag)[1]: found
            for flag, found in (("--consumer-api-key-file", path), ("--consumer-oauth-client-id", own.oauth))
        },
    )
    own = _with_headers(values, "--consumer-headers-file", "consumerHeadersSecret.name", own)
    return own if own.has_credentials or own.headers_file else None


def _check_one(values: Values, keys: Mapping[str, object]) -> None:
    if len(sources := [name for name, value in keys.items() if value]) > 1:
        values.problems.append(f"{' and '.join(sources)}: set only one of them")


def _with_client(values: Values, prefix: str, server: Endpoint) -> Endpoint:
    """Return a server with the client of the authorization server, as which it is asked."""
    flags = ("--oauth-token-url", f"{prefix}-client-id", f"{prefix}-client-secret-file")
    (url, source), (client_id, _), (secret, _) = map(values.text, flags)
    names = [str(SETTING[flag].variable) for flag in flags]
    # The token URL is that of the hook's client and of the consumers' client, each of which may be alone.
    if not client_id and not secret:
        return server
    if not (url and client_id and secret):
        values.problems.append(f"{', '.join(names)}: set all of them, or none")
        return server
    secret_file = values.file(flags[2], read_token) or Path(secret)
    try:
        address = read_address(url, _TOKEN_URL)
        keep_out(address.secret)
        if address.credentials:
            raise ValueError(f"leave out the user; the client is that of {names[1]}")
    except ValueError as error:
        values.problems.append(f"{source}: {error}")
        return server
    # With a slash at its end, as authentik has it.
    path = urlsplit(url).path
    helm = "oauth" if prefix == "--oauth" else "consumerOauth"
    key = f"check {names[1]} and {names[2]} (Helm: {helm}), and that the client has a service account"
    issuer = Endpoint(
        address.url.removesuffix(path.rstrip("/")),
        ca_bundle=server.ca_bundle,
        hints=replace(of_oauth(), credential="the client's secret", key=key),
    )
    hints = replace(
        server.hints,
        credential="the OAuth token",
        key=f"compare its issuer and audience, in the client of {names[1]}, with LlamaStack's auth configuration",
        rights=f"check the roles of the client of {names[1]}",
    )
    return replace(server, oauth=OAuthClient(issuer, path, client_id, secret_file), hints=hints)


def _with_headers(values: Values, flag: str, helm: str, server: Endpoint) -> Endpoint:
    """Return a server with the headers of a file. Where nothing else lets the request in, they are the hint."""
    path = values.file(flag, partial(read_headers, may_authorize=not server.has_credentials))
    if path is None:
        return server
    found = server if server.has_credentials else _with_hint(server, flag, helm, "the headers")
    return replace(found, headers_file=path)


def _with_hint(server: Endpoint, flag: str, helm: str, credential: str = "the API key") -> Endpoint:
    hint = f"check {SETTING[flag].variable} (Helm: {helm})"
    rights = f"{hint}, and its roles" if credential == "the API key" else hint
    return replace(server, hints=replace(server.hints, credential=credential, key=hint, rights=rights))
