"""The server and who asks it: the hook, and the consumers, each with credentials of its own."""

from dataclasses import replace
from functools import partial

from hook.cli.values import SETTING, Values
from hook.http.endpoint import Endpoint
from hook.http.headers import read_headers
from hook.http.url import Address, check_expanded, read_address
from hook.secrets import check_token, keep_out, read_token

API_KEY_VARIABLE = "LLAMA_STACK_API_KEY"
CLIENT_CERTIFICATE_VARIABLES = ("LLAMA_STACK_CLIENT_CERT", "LLAMA_STACK_CLIENT_KEY")


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
    keys = {API_KEY_VARIABLE: key, values.text("--api-key-file")[1]: key_file, f"user in {source}": user}
    if len(sources := [name for name, value in keys.items() if value]) > 1:
        values.problems.append(f"{' and '.join(sources)}: set only one of them")
    certificate, certificate_key = (values.environ.get(name) for name in CLIENT_CERTIFICATE_VARIABLES)
    both = (certificate, certificate_key) if certificate and certificate_key else None
    if both is None and (certificate or certificate_key):
        values.problems.append(f"{' and '.join(CLIENT_CERTIFICATE_VARIABLES)}: only one is set; mTLS needs both")
    authority = values.environ.get("REQUESTS_CA_BUNDLE") or None
    own = Endpoint(address.url, key or None, key_file, user, client_certificate=both, ca_bundle=authority)
    return _with_headers(values, "--headers-file", own)


def consumer(values: Values, hook: Endpoint) -> Endpoint | None:
    """Return the hook's server with nothing but the consumers' own credentials, or None where they have none."""
    path = values.file("--consumer-api-key-file", read_token)
    own = Endpoint(hook.url, None, path, client_certificate=hook.client_certificate, ca_bundle=hook.ca_bundle)
    if path is not None:
        own = _with_hint(own, "--consumer-api-key-file")
    own = _with_headers(values, "--consumer-headers-file", own)
    return own if own.api_key_file or own.headers_file else None


def _with_headers(values: Values, flag: str, server: Endpoint) -> Endpoint:
    """Return a server with the headers of a file. Where nothing else lets the request in, they are the hint."""
    path = values.file(flag, partial(read_headers, may_authorize=not server.has_credentials))
    if path is None:
        return server
    found = server if server.has_credentials else _with_hint(server, flag, "the headers")
    return replace(found, headers_file=path)


def _with_hint(server: Endpoint, flag: str, credential: str = "the API key") -> Endpoint:
    hint = f"check {SETTING[flag].variable}"
    return replace(server, hints=replace(server.hints, credential=credential, key=hint, rights=hint))
