"""For a Kubeflow pipeline: a component that inserts a chunk under a collection's address, and finds it again.

The address comes from the ConfigMap that the hook publishes (`manifests/components/publish-ids`), as the variable
VECTOR_DB_ID, or from a parameter. For LlamaStack 0.3.0 and newer, and OGX.
"""


def insert_and_query(
    llama_stack_url: str, embedding_model: str, document_id: str, text: str, question: str, vector_db_id: str = ""
) -> str:
    """Insert `text`, ask `question`, and return the text that was found. Raises where the text is not among it."""
    # KFP runs the source of this function alone, so it brings what it needs; and nothing that has to be installed.
    import json
    import os
    import urllib.error
    import urllib.request
    from typing import Any

    def post(path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(  # noqa: S310  the pipeline's own URL
            llama_stack_url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"POST {path} answered {error.code}: {error.read().decode(errors='replace')}") from error
        return json.loads(content) if content else None

    address = vector_db_id or os.environ["VECTOR_DB_ID"]
    # Up to 0.3.x it is called vector_db_id, from 0.4.0 on vector_store_id; each ignores the other.
    store = {"vector_db_id": address, "vector_store_id": address}
    # From 0.4.0 on the client embeds the chunks.
    embedding = post("/v1/embeddings", {"model": embedding_model, "input": text})["data"][0]["embedding"]
    chunk = {
        "content": text,
        "metadata": {"document_id": document_id},
        "chunk_id": f"{document_id}-0",
        "chunk_metadata": {"document_id": document_id},
        "embedding": embedding,
        "embedding_model": embedding_model,
        "embedding_dimension": len(embedding),
    }
    post("/v1/vector-io/insert", {**store, "chunks": [chunk]})
    found = [str(chunk["content"]) for chunk in post("/v1/vector-io/query", {**store, "query": question})["chunks"]]
    if text not in found:
        raise RuntimeError(f"the query of {address} does not find what was inserted: {found}")
    return text


try:
    from kfp import dsl, kubernetes  # the packages kfp and kfp-kubernetes
except ImportError:
    pass  # the function is of use without them
else:
    component = dsl.component(base_image="python:3.12")(insert_and_query)

    @dsl.pipeline(name="ingest")
    def pipeline(document_id: str, text: str, question: str) -> None:
        """Show how the published address reaches the component."""
        task = component(
            llama_stack_url="http://llama-stack-service:8321",
            embedding_model="sentence-transformers/ibm-granite/granite-embedding-125m-english",
            document_id=document_id,
            text=text,
            question=question,
        )
        # The address is no input, so a step of yesterday would stand for one with the address of today.
        task.set_caching_options(False)
        kubernetes.use_config_map_as_env(
            task, config_map_name="llamastack-collections", config_map_key_to_env={"red_hat_docs": "VECTOR_DB_ID"}
        )
