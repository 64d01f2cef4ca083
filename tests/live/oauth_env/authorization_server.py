"""An authorization server: authlib's, with client credentials and signed tokens. A JSON file has the clients."""

import json
import sys
from pathlib import Path

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, jsonify
from joserfc.jwk import KeySet, RSAKey

AUDIENCE = "llama-stack"
LIFETIME_SECONDS = 6
"""Short, so that each run of the hook needs several."""

port, clients = int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
keys = KeySet([RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})])
app = Flask(__name__)


class Client(ClientMixin):
    """One client, which may do nothing but this."""

    def __init__(self, name):
        self.name = name

    def get_client_id(self):
        return self.name

    def get_allowed_scope(self, scope):
        return scope or ""

    def check_client_secret(self, secret):
        return secret == clients[self.name]["secret"]

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_post"

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Grant(grants.ClientCredentialsGrant):
    """Keycloak's and Red Hat's form; authlib's own default is the header."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_post"]


class Generator(JWTBearerTokenGenerator):
    """Signs what a server verifies with the key of `/jwks`."""

    def get_jwks(self):
        return keys

    def get_audiences(self, client, user, scope):
        return AUDIENCE

    def get_extra_claims(self, client, grant_type, user, scope):
        return {"roles": clients[client.name]["roles"]}


server = AuthorizationServer(
    app,
    query_client=lambda name: Client(name) if name in clients else None,
    save_token=lambda token, request: None,
)
server.register_grant(Grant)
server.register_token_generator(
    "default", Generator(issuer=f"http://127.0.0.1:{port}", expires_generator=lambda *_: LIFETIME_SECONDS)
)


@app.post("/token")
def token():
    return server.create_token_response()


@app.get("/jwks")
def jwks():
    return jsonify(keys.as_dict(private=False))


app.run("127.0.0.1", port)
