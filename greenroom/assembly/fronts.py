"""Which other dialects stand in front of the pipeline, and what they need of the house."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from greenroom.config import Config
from greenroom.exchange import ChatRequest
from greenroom.server.completions import COMPLETIONS, Completions
from greenroom.server.fronts import Front
from greenroom.server.messages import MESSAGES, Count, Counter, Messages
from greenroom.stages.preprocess.fit import count_tokens
from greenroom.wire.openai_request import read_messages

FRONTS: Mapping[bytes, Front] = MappingProxyType({MESSAGES: Messages(), COMPLETIONS: Completions()})
"""By path."""


def counter(config: Callable[[], Config]) -> Counter:
    """What counts the tokens of a request; `config` is asked anew, since it may be loaded again."""

    async def count(request: ChatRequest, model: str) -> Count:
        if not request.roles:  # where the pipeline is off nobody has read them
            read_messages(request)
        configured = config().models.get(model)
        return Count(*await count_tokens(request, configured.targets[0] if configured else model))

    return count
