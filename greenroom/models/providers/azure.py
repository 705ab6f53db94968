"""Azure OpenAI: OpenAI's dialect at an address of its own, with the key in `api-key`.

Knows how Azure's addresses are made; the dialect is that of any compatible service.
"""

from collections.abc import Mapping

from greenroom.exchange import Exchange, Reply
from greenroom.models.pool import Pool
from greenroom.models.providers.calls import checked_model
from greenroom.models.providers.openai_compatible import OpenAICompatible
from greenroom.models.response import Limits
from greenroom.wire.openai_embeddings import parse_embeddings

_DEPLOYMENTS = 256
"""Clients may ask for any name at a provider; what is remembered must not grow with that."""


class Azure:
    """A resource of Azure OpenAI; a model is one of its deployments.

    With `api_version` each deployment has an address (`/openai/deployments/NAME`); without it the v1 surface
    is called, which needs no version and takes the deployment as `model`.
    """

    counts_tokens = True

    def __init__(
        self, name: str, base_url: str, key: str | None, pool: Pool, headers: Mapping[str, str],
        api_version: str | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self._base = base_url.rstrip("/")
        self._pool = pool
        self._headers = {"api-key": key, **headers} if key else dict(headers)
        self._version = api_version
        self._known: dict[str, OpenAICompatible] = {}
        self._of("deployment")  # an address or header that can't be is found at start

    def _of(self, deployment: str) -> OpenAICompatible:
        place = "" if self._version is None else checked_model(deployment)
        found = self._known.get(place)
        if found is None:
            path, query = "/openai/v1", ""
            if self._version is not None:
                path, query = f"/openai/deployments/{place}", f"?api-version={self._version}"
            if len(self._known) >= _DEPLOYMENTS:
                self._known.clear()
            found = self._known[place] = OpenAICompatible(
                self.name, self._base + path, None, self._pool, self._headers, query
            )
        return found

    async def embed(self, body: bytes, limits: Limits) -> bytes:
        """Send a body to the deployment that it names. Raises UpstreamError."""
        return await self._of(parse_embeddings(body).model).embed(body, limits)

    async def call(self, exchange: Exchange, model: str, body: bytes, limits: Limits) -> Reply:
        """Send the body as it is."""
        return await self._of(model).call(exchange, model, body, limits)
