"""What a name in `model` leads to: an app, a configured model, or `provider/model`.

A snapshot: replaced as a whole when the configuration is loaded again; a running request keeps its own.
"""

from collections.abc import Awaitable, Callable, Mapping

from greenroom.errors import ModelNotFound, RequestError
from greenroom.exchange import Exchange
from greenroom.gateway.pipeline import App, StepEntry
from greenroom.wire.openai_embeddings import EmbeddingRequest

KNOWN_LIMIT = 1024
Embedder = Callable[[Exchange, EmbeddingRequest], Awaitable[bytes]]
"""Answers a request for vectors; notes target, usage and cost in the exchange."""


class Rooms:
    """Apps by the name clients ask for."""

    def __init__(
        self,
        apps: Mapping[str, App],
        models: tuple[str, ...],
        build: Callable[[str], App | None],
        embedder: Callable[[str], Embedder | None] = lambda _: None,
        template: StepEntry | None = None,
    ) -> None:
        self.apps = dict(apps)
        self.models = models
        """Configured models and targets that `/v1/models` lists beside the apps."""
        self._build = build
        self._embedder = embedder
        self._template = template
        self._built: dict[str, App] = {}

    def find(self, name: str) -> App:
        """The app for a name; the default app with that model when it names a model. Raises ModelNotFound."""
        app = self.apps.get(name) or self._built.get(name)
        if app is None:
            app = self._build(name)
            if app is None:
                raise ModelNotFound(
                    f"No app, model or provider goes by '{name[:100]}'. GET /v1/models lists what there is.",
                    "model",
                )
            if len(self._built) < KNOWN_LIMIT:
                self._built[name] = app
        return app

    def prompted(self, app: App) -> App:
        """An app that fills the prompt which a request names. Raises RequestError where it has no steps."""
        if app.pipeline_off or self._template is None:
            raise RequestError(
                f"'{app.name}' passes requests through as they are: it fills no prompt.", "prompt"
            )
        return app._replace(steps=(self._template, *app.steps), is_prompted=True, trial=None)

    def embedder(self, name: str) -> Embedder:
        """What makes vectors under a name. Raises ModelNotFound; ExtraMissing for one not installed."""
        found = self._embedder(name)
        if found is None:
            raise ModelNotFound(
                f"No embedding model goes by '{name[:100]}'. Ask for greenroom/minilm, a configured model or "
                "'provider/model' of a provider that speaks OpenAI's dialect.",
                "model",
            )
        return found

    def names(self) -> list[str]:
        """All names clients may ask for, apps first."""
        return list(dict.fromkeys((*self.apps, *self.models)))
