"""All engines of one process: found by what they run, let go when nobody names them any more."""

from collections.abc import Collection, Mapping

from greenroom.models.engine import Engine, EngineSettings


class Engines:
    """All engines of one process; outlives a reload of the configuration."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._used: dict[tuple[str, EngineSettings], Engine] = {}
        self._retired: list[Engine] = []

    def of(self, name: str, settings: EngineSettings) -> Engine:
        """The engine of a provider with these settings, the same for the same."""
        engine = self._used.get((name, settings))
        if engine is None:
            engine = self._used[name, settings] = Engine(settings, self._environment)
        return engine

    def all(self) -> list[tuple[str, Engine]]:
        """Those in use, by the name of who uses them."""
        return [(name, engine) for (name, _), engine in self._used.items()]

    def keep(self, engines: Collection[Engine], names: tuple[str, ...]) -> None:
        """Let go of all others, but for those whose name begins with one of `names`."""
        for key, engine in list(self._used.items()):
            if engine not in engines and not key[0].startswith(names):
                self.let_go(engine)

    def let_go(self, engine: Engine) -> None:
        """Have an engine end once it is idle, and forget it."""
        for key, one in list(self._used.items()):
            if one is engine:
                del self._used[key]
                engine.retire()
                self._retired.append(engine)
        self._retired = [one for one in self._retired if one.pid is not None]

    def uses(self, path: str) -> bool:
        """Whether a file is loaded, or may be loaded again."""
        kept = (*self._used.values(), *(one for one in self._retired if one.pid is not None))
        return any(path in one.settings.files() for one in kept)

    def stop(self) -> None:
        """End all. Safe to call twice."""
        for engine in (*self._used.values(), *self._retired):
            engine.stop()
        self._used.clear()
        self._retired.clear()
