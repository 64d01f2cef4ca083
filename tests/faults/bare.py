"""What somebody in a hurry would write: the very calls of the hook with requests, and nothing around them.

No waiting, no retries, no bounds, no report: the measure of what those cost.
"""

import json
import os
import sys
from typing import Any

import requests


def main() -> None:
    """Register what is missing of the entries in the file that the first argument names, and look at all of it."""
    url = os.environ["LLAMA_STACK_URL"]
    with open(sys.argv[1]) as file:  # noqa: PTH123  pathlib would be one import more to measure
        entries = json.load(file)["vector_dbs"]
    with requests.Session() as session:
        session.trust_env = False

        def ask(method: str, path: str, body: Any = None) -> Any:
            answer = session.request(method, url + path, json=body, timeout=30)
            if not path.endswith("/insert"):
                # 0.3.5 answers 400 to the insert of nothing, and says by it that all is well.
                answer.raise_for_status()
            return answer.json() if answer.content else None

        def names() -> dict[str, str]:
            listed: dict[str, str] = {}
            after = ""
            while True:
                page = ask("GET", f"/v1/vector_stores?limit=100{after}")
                listed |= {store["name"]: store["id"] for store in page["data"]}
                if not page["has_more"]:
                    return listed
                after = f"&after={page['data'][-1]['id']}"

        ask("GET", "/v1/health")
        there = names()
        ask("GET", "/v1/version")
        models = {}
        for model in ask("GET", "/v1/models")["data"]:
            known = model.get("custom_metadata", model)
            models[known["provider_resource_id"]] = model.get("identifier") or model["id"]
        ask("GET", "/v1/providers")
        missing = [entry for entry in entries if entry["vector_db_id"] not in there]
        for entry in missing:
            ask(
                "POST",
                "/v1/vector_stores",
                {
                    "name": entry["vector_db_id"],
                    "provider_id": entry["provider_id"],
                    "embedding_model": models[entry["embedding_model"]],
                    "embedding_dimension": entry["embedding_dimension"],
                },
            )
        if missing:
            there = names()
        for entry in entries:
            store_id = there[entry["vector_db_id"]]
            ids = {"vector_store_id": store_id, "vector_db_id": store_id}
            ask("POST", "/v1/vector-io/insert", ids | {"chunks": []})
            ask("POST", "/v1/vector-io/query", ids | {"query": "anything", "params": {"max_chunks": 1}})


if __name__ == "__main__":
    main()
