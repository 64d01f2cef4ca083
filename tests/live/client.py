"""Another client of the servers: what an ingestion pipeline sends, and what the server says past the hook."""

import sys
from typing import Any

import requests
from servers import HERE, REPOSITORY, Server, hook_environ, install, run

PROVIDER = "milvus-shared"
OTHER_PROVIDER = "faiss-first"
MODEL = "ibm-granite/granite-embedding-125m-english"
DIMENSION = 768
SENTENCE = "A vector store that is listed can still be dead."
QUESTION = "What is dead?"
"""Not the sentence itself, whose distance 0 makes 0.3.5 on faiss answer 400, a score of infinity. The stand-in for the
model hashes texts; the two vectors have a positive cosine, which is all that a query on Milvus asks for."""


COMPONENTS_SENTENCE = "A pipeline asks for the address, and inserts under it."
"""Another one, so that it is the component's own chunk that is found."""
FILES_SENTENCE = "The server cuts a file into chunks, and embeds each of them."


class WrongError(Exception):
    """A cell is not what it should be; the text says what it is."""


def require(true: bool, otherwise: str) -> None:
    """Raise WrongError where a check fails."""
    if not true:
        raise WrongError(otherwise)


def is_old(server: Server) -> bool:
    """Return whether a release has /v1/vector-dbs instead of /v1/vector_stores."""
    return server.release.startswith("0.2.")


def stores(server: Server) -> dict[str, dict[str, Any]]:
    """Return what the server lists, by id: past the hook, and by the release number."""
    path = "/v1/vector-dbs" if is_old(server) else "/v1/vector_stores?limit=100"
    listed = must(server.request("GET", path))["data"]
    if is_old(server):
        return {
            item["identifier"]: {
                "name": item["identifier"],
                "provider": item["provider_id"],
                "model": item["embedding_model"],
                "dimension": item["embedding_dimension"],
            }
            for item in listed
        }
    return {item["id"]: {"name": item["name"], "provider": item["metadata"]["provider_id"]} for item in listed}


def create(server: Server, store: str, provider: str) -> None:
    """Create a vector store past the hook."""
    if is_old(server):
        body = {"vector_db_id": store, "provider_vector_db_id": store, "embedding_model": MODEL}
        must(
            server.request("POST", "/v1/vector-dbs", body | {"embedding_dimension": DIMENSION, "provider_id": provider})
        )
    else:
        body = {"name": store, "embedding_model": model_id(server), "provider_id": provider}
        must(server.request("POST", "/v1/vector_stores", body))


def delete(server: Server, store_id: str) -> None:
    """Delete a vector store past the hook."""
    path = "/v1/vector-dbs" if is_old(server) else "/v1/vector_stores"
    answer = server.request("DELETE", f"{path}/{store_id}")
    require(answer.ok, f"DELETE answered {answer.status_code}: {answer.text}")


def model_id(server: Server) -> str:
    """Return the wanted model's id; the provider's prefix is part of it from 0.3.0 on."""
    return MODEL if is_old(server) else f"sentence-transformers/{MODEL}"


def insert(server: Server, store: str) -> requests.Response:
    """Insert one chunk as an ingestion pipeline would, and return the answer."""
    chunk: dict[str, Any] = {"content": SENTENCE, "metadata": {"document_id": "document-1"}}
    if has_embedded_chunks(server):
        embedded = must(server.request("POST", "/v1/embeddings", {"model": model_id(server), "input": SENTENCE}))
        chunk |= {
            "chunk_id": "chunk-1",
            "chunk_metadata": {"document_id": "document-1"},
            "embedding": embedded["data"][0]["embedding"],
            "embedding_model": model_id(server),
            "embedding_dimension": DIMENSION,
        }
    return server.request("POST", "/v1/vector-io/insert", {store_key(server): store, "chunks": [chunk]})


def query(server: Server, store: str) -> requests.Response:
    """Query a vector store as a pipeline would, and return the answer."""
    return server.request("POST", "/v1/vector-io/query", {store_key(server): store, "query": QUESTION})


def insert_and_query(server: Server, store: str) -> None:
    """Insert a chunk under an address, and find it again."""
    inserted = insert(server, store)
    require(inserted.ok, f"the insert into {store} answered {inserted.status_code}: {inserted.text}")
    found = must(query(server, store))
    contents = [chunk["content"] for chunk in found["chunks"]]
    require(SENTENCE in contents, f"the query of {store} finds {contents}")


def run_component(server: Server, store: str) -> None:
    """Run the example's component for Kubeflow: in a process of its own, with the address in its environment."""
    code = "import sys; from examples.kfp_component import insert_and_query; insert_and_query(*sys.argv[1:])"
    arguments = (server.url, model_id(server), "document-2", COMPONENTS_SENTENCE, QUESTION)
    done = run([sys.executable, "-c", code, *arguments], hook_environ(VECTOR_DB_ID=store, PYTHONDONTWRITEBYTECODE="1"))
    require(done.returncode == 0, f"the component for Kubeflow fails: {done.stderr}")


def run_files_example(server: Server, store: str) -> None:
    """Run the example for the Files API, with the official client: a server takes only one of its own minor version."""
    packages = HERE / "releases" / server.release / "client.txt"
    python = install(f"client-{server.release}", packages) / "bin" / "python"
    file = server.folder / "handbook.txt"
    file.write_text(FILES_SENTENCE)
    example = REPOSITORY / "examples" / "ingest_file.py"
    done = run([str(python), str(example), server.url, store, str(file), QUESTION], hook_environ())
    require(done.returncode == 0, f"the example for the Files API fails: {done.stderr}")
    require(FILES_SENTENCE in done.stdout, f"the example for the Files API finds {done.stdout}")


def store_key(server: Server) -> str:
    """Return what the vector-io requests call the address."""
    return "vector_store_id" if has_embedded_chunks(server) else "vector_db_id"


def has_embedded_chunks(server: Server) -> bool:
    """Return whether a release is 0.4.0 or newer, where the client embeds the chunks."""
    return not server.release.startswith(("0.2.", "0.3."))


def must(answer: requests.Response) -> Any:
    """Return the JSON of an answer that cannot be a refusal."""
    require(
        answer.ok, f"{answer.request.method} {answer.request.path_url} answered {answer.status_code}: {answer.text}"
    )
    return answer.json()
