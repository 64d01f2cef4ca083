"""A provider that only reads, as lightspeed-core's remote::solr_vector_io: faiss that takes no inserts (ogx 1.5.0)."""

from typing import Any

from ogx.providers.inline.vector_io.faiss.faiss import FaissVectorIOAdapter
from ogx_api import Api


class _ReadOnly(FaissVectorIOAdapter):
    async def insert_chunks(self, request: Any) -> None:
        raise NotImplementedError("the tests' provider is read-only.")


async def get_provider_impl(config: Any, deps: dict[Api, Any], policy: Any = None) -> _ReadOnly:
    """Return the provider, as the server asks each of its modules for it."""
    provider = _ReadOnly(config, deps[Api.inference], deps.get(Api.files), None, policy=policy or [])
    await provider.initialize()
    return provider
