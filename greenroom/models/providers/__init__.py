"""Who answers over HTTP: a file per kind of provider, each turning a chat body into a `Reply`.

Knows the pool and the dialects; nothing of steps, keys of callers or the store. Every failure leaves here as
an `UpstreamError` whose message holds no address and no key; dispatch adds the target's name.
"""

from greenroom.models.providers.anthropic import Anthropic
from greenroom.models.providers.azure import Azure
from greenroom.models.providers.bedrock import Bedrock
from greenroom.models.providers.built_in import BuiltIn
from greenroom.models.providers.cohere import Cohere
from greenroom.models.providers.contract import Embeds, Provider
from greenroom.models.providers.gemini import Gemini
from greenroom.models.providers.openai_compatible import OpenAICompatible, OpenAIEvents
from greenroom.models.providers.vertex import Vertex

__all__ = [
    "Anthropic",
    "Azure",
    "Bedrock",
    "BuiltIn",
    "Cohere",
    "Embeds",
    "Gemini",
    "OpenAICompatible",
    "OpenAIEvents",
    "Provider",
    "Vertex",
]
