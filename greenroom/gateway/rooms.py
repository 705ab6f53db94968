"""What a name in `model` leads to: an app, a configured model, or `provider/model`.

A snapshot: replaced as a whole when the configuration is loaded again; a running request keeps its own.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol

from greenroom.errors import ModelNotFound, RequestError
from greenroom.exchange import Caller, Exchange
from greenroom.gateway.pipeline import App, StepEntry
from greenroom.wire.openai_embeddings import EmbeddingRequest

KNOWN_LIMIT = 1024
Embedder = Callable[[Exchange, EmbeddingRequest], Awaitable[bytes]]
"""Answers a request for vectors; notes target, usage and cost in the exchange."""


class Private(Protocol):
    """Models that belong to projects."""

    def projects(self, name: str) -> Collection[str] | None:
        """Who may use a model; None for what is no such model."""
        ...

    def names(self, project: str | None) -> list[str]:
        """What a project may use; None sees all."""
        ...

    def about(self, name: str) -> Mapping[str, Any] | None:  # Any: JSON
        """What is said of a model in lists."""
        ...


def project_of(caller: Caller) -> str | None:
    """The project whose models a caller may use; None sees all: admins, and who is on this machine."""
    return None if caller.role == "admin" or caller.key_id == "local" else caller.project


class Rooms:
    """Apps by the name clients ask for."""

    def __init__(
        self,
        apps: Mapping[str, App],
        models: tuple[str, ...],
        build: Callable[[str], App | None],
        embedder: Callable[[str], Embedder | None] = lambda _: None,
        template: StepEntry | None = None,
        private: Private | None = None,
    ) -> None:
        self.apps = dict(apps)
        self.models = models
        """Configured models and targets that `/v1/models` lists beside the apps."""
        self._build = build
        self._embedder = embedder
        self._template = template
        self.private = private
        self._built: dict[str, App] = {}

    def find(self, name: str, caller: Caller | None = None) -> App:
        """The app for a name; the default app with that model when it names a model.

        Without a caller all models of projects may be used. Raises ModelNotFound.
        """
        app = self.apps.get(name)
        if app is not None:
            return app
        app = self._built.get(name)
        owners = self.private.projects(name) if self.private is not None else None
        project = None if caller is None else project_of(caller)
        is_hidden = owners is not None and project is not None and project not in owners
        if app is None or is_hidden:
            app = None if is_hidden else self._build(name)
            if app is None:
                raise ModelNotFound(
                    f"No app, model or provider goes by '{name[:100]}'. GET /v1/models lists what there is.",
                    "model",
                )
            if len(self._built) < KNOWN_LIMIT:
                self._built[name] = app
        return app

    def forget(self) -> None:
        """Make the models that requests named anew: some may be gone."""
        self._built.clear()

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

    def names(self, caller: Caller | None = None) -> list[str]:
        """All names that a caller may ask for, apps first; without one those that everybody may."""
        names = [*self.apps, *self.models]
        private = self.private
        if private is None:
            return list(dict.fromkeys(names))
        own = private.names(project_of(caller)) if caller is not None else []
        open_to_all = [name for name in names if name in self.apps or private.projects(name) is None]
        return list(dict.fromkeys((*open_to_all, *own)))
