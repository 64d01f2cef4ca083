"""Puts a file into a collection through the Files API and asks it a question, with the official Python client.

The server cuts the file into chunks and embeds them, by the collection's own model. For LlamaStack 0.3.0 and newer with
llama-stack-client, and OGX with ogx-client, which have the same methods here; LlamaStack refuses a client of another
minor version than its own. The address comes from the hook:

    VECTOR_DB_ID=$(register-collections resolve red_hat_docs) || exit
    python ingest_file.py "$LLAMA_STACK_URL" "$VECTOR_DB_ID" handbook.txt "How many days of leave are there?"

The clients read a token from LLAMA_STACK_CLIENT_API_KEY or OGX_CLIENT_API_KEY.
"""

import sys
import time
from pathlib import Path
from typing import Any

SECONDS = 300


def connect(url: str) -> Any:
    """Return the client that is installed."""
    try:
        from ogx_client import OgxClient
    except ImportError:
        from llama_stack_client import LlamaStackClient

        return LlamaStackClient(base_url=url)
    return OgxClient(base_url=url)


def ingest(client: Any, vector_store_id: str, path: Path) -> None:
    """Upload the file and attach it. Raises RuntimeError unless the server says that it is searchable."""
    uploaded = client.files.create(file=(path.name, path.read_bytes()), purpose="assistants")
    attached = client.vector_stores.files.create(vector_store_id=vector_store_id, file_id=uploaded.id)
    deadline = time.monotonic() + SECONDS
    while attached.status == "in_progress" and time.monotonic() < deadline:
        time.sleep(1)
        attached = client.vector_stores.files.retrieve(vector_store_id=vector_store_id, file_id=uploaded.id)
    if attached.status != "completed":
        # A file that failed stays attached, and answers no question; the request itself succeeds.
        raise RuntimeError(f"{path.name} is {attached.status}: {attached.last_error}")


def search(client: Any, vector_store_id: str, question: str) -> list[str]:
    """Return the texts that answer best."""
    found = client.vector_stores.search(vector_store_id=vector_store_id, query=question)
    return [content.text for result in found.data for content in result.content]


if __name__ == "__main__":
    url, address, file, question = sys.argv[1:]
    server = connect(url)
    ingest(server, address, Path(file))
    texts = search(server, address, question)
    print("\n---\n".join(texts))
    sys.exit(0 if texts else 1)
