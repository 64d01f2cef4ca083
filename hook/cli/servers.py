"""The server and who asks it: the hook, and the consumers, each with credentials of its own."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from hook.cli.values import SETTING, Values
from hook.http import Address, Endpoint, OAuthClient, check_expanded, of_oauth, read_address, read_headers
from hook.secrets import check_token, keep_out, read_token

API_KEY_VARIABLE = "LLAMA_STACK_API_KEY"
CLIENT_CERTIFICATE_VARIABLES = ("LLAMA_STACK_CLIENT_CERT", "LLAMA_STACK_CLIENT_KEY")
_TOKEN_URL = "https://keycloak.example/realms/REALM/protocol/openid-connect/token"  # noqa: S105  an example


class _Asker(NamedTuple):
    """How the flags of somebody's credentials begin, and which values of the chart set them."""

    prefix: str
    api_key: str
    oauth: str
    headers: str


_HOOK = _Asker("--", "apiKeySecret.name", "oauth", "headersSecret.name")
_CONSUMER = _Asker("--consumer-", "consumerApiKeySecret.name", "consumerOauth", "consumerHeadersSecret.name")


def server(values: Values) -> Endpoint:
    """Return LlamaStack with the hook's own credentials."""
    key = values.environ.get(API_KEY_VARIABLE, "").strip()
    keep_out(key)
    try:
        check_expanded(key)
        check_token(key)
    except ValueError as error:
        values.problems.append(f"{API_KEY_VARIABLE}: {error}")
    address = _address(values, "--url", str(SETTING["--url"].default)) or Address("")
    if address.url.endswith("/v1"):
        values.problems.append(f"{values.text('--url')[1]}: leave out the /v1 at its end; the hook adds it")
    certificate, certificate_key = (values.environ.get(name) for name in CLIENT_CERTIFICATE_VARIABLES)
    both = (certificate, certificate_key) if certificate and certificate_key else None
    if both is None and (certificate or certificate_key):
        values.problems.append(f"{' and '.join(CLIENT_CERTIFICATE_VARIABLES)}: only one is set; mTLS needs both")
    authority = values.environ.get("REQUESTS_CA_BUNDLE") or None
    bare = Endpoint(address.url, key or None, None, address.credentials, client_certificate=both, ca_bundle=authority)
    return _with_credentials(bare, values, _HOOK)


def consumer(values: Values, hook: Endpoint) -> Endpoint | None:
    """Return the hook's server with nothing but the consumers' own credentials, or None where they have none."""
    bare = Endpoint(hook.url, client_certificate=hook.client_certificate, ca_bundle=hook.ca_bundle)
    own = _with_credentials(bare, values, _CONSUMER)
    url, source = values.text("--oauth-token-url")
    if url and not (hook.oauth or own.oauth or values.problems):
        values.problems.append(f"{source}: set the client as well, as HOOK_OAUTH_CLIENT_ID and its secret's file")
    return own if own.has_credentials or own.headers_file else None


def _with_credentials(server: Endpoint, values: Values, who: _Asker) -> Endpoint:
    """Return a server with what somebody's flags let the requests in with, and what to check where that fails."""
    flags = [f"{who.prefix}{name}" for name in ("api-key-file", "oauth-client-id", "headers-file")]
    key_file, client = values.file(flags[0], read_token), _client(values, who, server.ca_bundle)
    sources = {
        API_KEY_VARIABLE: server.api_key,
        values.text(flags[0])[1]: key_file,
        f"user in {values.text('--url')[1]}": server.basic_auth,
        values.text(flags[1])[1]: client,
    }
    if len(given := [name for name, value in sources.items() if value]) > 1:
        values.problems.append(f"{' and '.join(given)}: set only one of them")
    headers_file = values.file(flags[2], partial(read_headers, may_authorize=not given))
    key_variable, client_variable, headers_variable = (SETTING[flag].variable for flag in flags)
    credential, key = "the API key", f"check {key_variable} (Helm: {who.api_key})"
    rights = f"{key}, and its roles"
    if client:
        credential, rights = "the OAuth token", f"check the roles of the client of {client_variable}"
        key = f"compare its issuer and audience, in the client of {client_variable}, with LlamaStack's auth"
        key = f"{key} configuration"
    elif headers_file and not given:
        credential, key = "the headers", f"check {headers_variable} (Helm: {who.headers})"
        rights = key
    hints = replace(server.hints, credential=credential, key=key, rights=rights)
    return replace(server, api_key_file=key_file, oauth=client, headers_file=headers_file, hints=hints)


def _client(values: Values, who: _Asker, ca_bundle: str | None) -> OAuthClient | None:
    """Return the client of the authorization server, if there is one; its token URL may be another's alone."""
    flags = ("--oauth-token-url", f"{who.prefix}oauth-client-id", f"{who.prefix}oauth-client-secret-file")
    (url, source), (client_id, _), (secret, _) = map(values.text, flags)
    names = [str(SETTING[flag].variable) for flag in flags]
    if not client_id and not secret:
        return None
    if not (url and client_id and secret):
        values.problems.append(f"{', '.join(names)}: set all of them, or none")
        return None
    values.file(flags[2], read_token)
    address = _address(values, flags[0], _TOKEN_URL)
    if address is None or address.credentials:
        if address:
            values.problems.append(f"{source}: leave out the user; the client is that of {names[1]}")
        return None
    # With a slash at its end, as authentik has it.
    path = urlsplit(url).path
    key = f"check {names[1]} and {names[2]} (Helm: {who.oauth}), and that the client has a service account"
    hints = replace(of_oauth(), credential="the client's secret", key=key)
    issuer = Endpoint(address.url.removesuffix(path.rstrip("/")), ca_bundle=ca_bundle, hints=hints)
    return OAuthClient(issuer, path, client_id, Path(secret))


def _address(values: Values, flag: str, example: str) -> Address | None:
    """Return the address of a flag, or None for a problem."""
    url, source = values.text(flag)
    try:
        address = read_address(str(url), example)
    except ValueError as error:
        values.problems.append(f"{source}: {error}")
        return None
    keep_out(address.secret)
    return address
