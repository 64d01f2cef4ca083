"""What the server's configuration names as `module`."""

from ogx_api import Api, InlineProviderSpec


def get_provider_spec() -> InlineProviderSpec:
    """Return what the server needs to know of the provider."""
    return InlineProviderSpec(
        api=Api.vector_io,
        provider_type="inline::read-only",
        module="read_only_vector_io",
        config_class="ogx.providers.inline.vector_io.faiss.FaissVectorIOConfig",
        api_dependencies=[Api.inference],
        optional_api_dependencies=[Api.files],
    )
