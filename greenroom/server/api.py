"""Administration over HTTP: traces, sessions, keys, configuration, health, metrics and the OpenAPI document.

Plain Starlette on the ASGI side of the port; every `/api` route needs a key and names the role it needs.
Bodies are typed, unknown fields refused.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import Forbidden, GreenroomError, MalformedRequest, NotFound, QuotaExceeded
from greenroom.exchange import Caller
from greenroom.gateway.access import Access
from greenroom.gateway.purse import BudgetExceeded
from greenroom.server import filtering
from greenroom.server.feedback import FeedbackAdministration, FeedbackApi
from greenroom.server.keys import KeyAdministration, KeyApi
from greenroom.server.models import ModelAdministration, ModelApi
from greenroom.server.openapi import document
from greenroom.server.routing import Doc, Role, client_address, json_answer
from greenroom.server.users import UserAdministration, UserApi
from greenroom.store.audit import AuditFilter
from greenroom.store.listing import TraceFilter
from greenroom.wire import openai
from greenroom.wire.digits import number_in

_RANK = {"app": 0, "viewer": 1, "operator": 2, "admin": 3}


class Administration(FeedbackAdministration, Protocol):
    """What the routes need from the rest; everything but `ready` runs in a worker thread."""

    def list_traces(self, wanted: TraceFilter) -> tuple[list[dict[str, Any]], str | None]: ...  # Any: JSON
    def get_trace(self, project: str | None, id: str) -> dict[str, Any] | None: ...  # Any: JSON
    def delete_traces(self, project: str | None, user: str, by: str, address: str) -> int: ...
    def audit(
        self, kind: str | None, wanted: AuditFilter, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None]: ...  # Any: JSON
    def session(self, project: str, session: str) -> list[dict[str, Any]]: ...  # Any: JSON
    def show_config(self) -> dict[str, Any]: ...  # Any: JSON
    def metrics(self) -> str: ...
    def ready(self) -> bool: ...
    @property
    def keys(self) -> KeyAdministration: ...
    @property
    def users(self) -> UserAdministration: ...
    @property
    def models(self) -> ModelAdministration: ...


_FILTERS = (
    "filter", "q", "app", "model", "outcome", "session", "user", "tag", "score", "from", "to", "limit",
    "cursor",
)  # fmt: skip
AUDIT_FILTERS = (
    "kind", "project", "app", "key", "exchange", "step", "rule", "category", "action", "policy", "from", "to",
    "limit", "cursor",
)  # fmt: skip


class Api:
    """The routes of `/api`, `/healthz`, `/readyz`, `/metrics` and `/openapi.json`."""

    def __init__(
        self, access: Access, administration: Administration, version: str, more: Sequence[Doc] = ()
    ) -> None:
        self._access = access
        self._admin = administration
        self._version = version
        self._docs = (
            Doc("/api/traces", "GET", "viewer", "List traces, newest first.", self._traces, _FILTERS),
            Doc("/api/traces", "DELETE", "operator", "Erase all traces of a user.", self._erase, ("user",)),
            Doc(
                "/api/traces/{id}", "GET", "viewer", "Read one trace: the record of an exchange.", self._trace
            ),
            Doc(
                "/api/sessions/{id:path}", "GET", "viewer", "Read the turns kept of a session.", self._session
            ),
            Doc(
                "/api/audit",
                "GET",
                "viewer",
                "Read the audit log, newest first: what checks found; for admins also who changed what.",
                self._audit,
                AUDIT_FILTERS,
            ),
            *FeedbackApi(administration).docs(),
            *UserApi(administration.users).docs(),
            *ModelApi(administration.models).docs(),
            *KeyApi(administration.keys).docs(),
            Doc(
                "/api/config",
                "GET",
                "admin",
                "Read the configuration in force; secrets by name.",
                self._config,
            ),
            Doc("/healthz", "GET", None, "Whether the process lives.", self._healthz),
            Doc("/readyz", "GET", None, "Whether it can answer; 503 while it drains.", self._readyz),
            Doc(
                "/metrics",
                "GET",
                None,
                "Counters in Prometheus' text format.",
                self._metrics,
                media="text/plain",
            ),
            Doc("/openapi.json", "GET", None, "This document.", self._openapi),
            *more,
        )

    def routes(self) -> list[BaseRoute]:
        """Starlette routes; a path known under another method answers 405 with Allow."""
        by_path: dict[str, dict[str, Doc]] = {}
        for doc in self._docs:
            by_path.setdefault(doc.path, {})[doc.method] = doc
        return [Route(path, self._serve(docs), methods=list(docs)) for path, docs in by_path.items()]

    def _serve(self, docs: Mapping[str, Doc]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            doc = docs["GET" if request.method == "HEAD" else request.method]
            try:
                caller = self._authorise(request, doc.role) if doc.role is not None else None
                return await doc.endpoint(request, caller)
            except GreenroomError as error:
                status, kind, code, param = openai.error_of(error)
                body = openai.error_body(str(error), kind, code, param)
                answer = Response(body, status, media_type="application/json")
                if isinstance(error, BudgetExceeded):
                    answer.headers["x-should-retry"] = "false"
                elif isinstance(error, QuotaExceeded):
                    answer.headers["retry-after"] = str(int(error.retry_after_s) + 1)
                return answer

        return endpoint

    def _authorise(self, request: Request, role: Role) -> Caller:
        key = self._access.identify(dict(request.scope["headers"]))
        if _RANK[key.caller.role] < _RANK[role]:
            raise Forbidden(f"This needs a key with the role '{role}'; this one is '{key.caller.role}'.")
        return key.caller

    # traces

    async def _traces(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = trace_filter(request.query_params, _scope(caller))
        rows, following = await run_in_threadpool(self._admin.list_traces, wanted)
        return json_answer({"data": rows, "next": following})

    async def _trace(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        record = await run_in_threadpool(self._admin.get_trace, _scope(caller), request.path_params["id"])
        if record is None:
            raise NotFound("There is no trace with this id.")
        return json_answer(record)

    async def _erase(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        user = request.query_params.get("user")
        if not user:
            raise MalformedRequest("Say whose traces to erase: ?user=…", "user")
        erased = await run_in_threadpool(
            self._admin.delete_traces, _scope(caller), user, caller.key_id, client_address(request)
        )
        return json_answer({"deleted": erased})

    async def _session(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        id = request.path_params["id"]
        turns = await run_in_threadpool(self._admin.session, caller.project, id)
        if not turns:
            raise NotFound("There is no session with this id.")
        return json_answer({"id": id, "turns": turns})

    async def _audit(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        kind, wanted, cursor = audit_filter(request.query_params, _scope(caller))
        if caller.role != "admin":
            if kind == "change":
                raise Forbidden("Changes are shown to keys with the role 'admin' only.")
            kind = "finding"
        rows, following = await run_in_threadpool(self._admin.audit, kind, wanted, cursor)
        return json_answer({"data": rows, "next": following})

    # configuration

    async def _config(self, request: Request, caller: Caller | None) -> Response:
        return json_answer(await run_in_threadpool(self._admin.show_config))

    # health

    async def _healthz(self, request: Request, caller: Caller | None) -> Response:
        return json_answer({"status": "ok"})

    async def _readyz(self, request: Request, caller: Caller | None) -> Response:
        if self._admin.ready():
            return json_answer({"status": "ready"})
        return json_answer({"status": "draining"}, 503)

    async def _metrics(self, request: Request, caller: Caller | None) -> Response:
        if request.client is not None and not _is_here(request):
            self._authorise(request, "viewer")
        text = await run_in_threadpool(self._admin.metrics)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _openapi(self, request: Request, caller: Caller | None) -> Response:
        return json_answer(document(self._docs, self._version))


def audit_filter(query: Mapping[str, str], project: str | None) -> tuple[str | None, AuditFilter, str | None]:
    """Read the query of `/api/audit`: kind, filter, cursor. Raises MalformedRequest naming the parameter.

    `project` is the one that the caller is confined to, if any.
    """
    _check_names(query, AUDIT_FILTERS)
    kind = query.get("kind") or None
    if kind not in (None, "finding", "change"):
        raise MalformedRequest("'kind' must be finding or change.", "kind")
    wanted = AuditFilter(
        project=project or query.get("project") or None,
        app=query.get("app") or None,
        key=query.get("key") or None,
        exchange=query.get("exchange") or None,
        step=query.get("step") or None,
        rule=query.get("rule") or None,
        category=query.get("category") or None,
        action=query.get("action") or None,
        policy=query.get("policy") or None,
        since_ns=_time(query.get("from"), "from"),
        until_ns=_time(query.get("to"), "to"),
        limit=_limit(query),
    )
    return kind, wanted, query.get("cursor") or None


def _check_names(query: Mapping[str, str], known: Sequence[str]) -> None:
    unknown = sorted(set(query) - set(known))
    if unknown:
        raise MalformedRequest(f"There is no filter '{unknown[0]}'. Known: {', '.join(known)}.", unknown[0])


def _limit(query: Mapping[str, str]) -> int:
    limit = number_in(query.get("limit", "50"), 1, 500)
    if limit is None:
        raise MalformedRequest("'limit' must be a number from 1 to 500.", "limit")
    return limit


def trace_filter(query: Mapping[str, str], project: str | None) -> TraceFilter:
    """Read the query of `/api/traces`. Raises MalformedRequest naming the parameter."""
    _check_names(query, _FILTERS)
    said = filtering.read(query.get("filter", "")).filter
    if any(one.needs_body for one in said.conditions):
        raise MalformedRequest(
            "What steps changed, skipped or failed at, and which prompt was filled, is found on the page "
            "/requests only: it looks into the texts of requests, for a while at a time.",
            "filter",
        )
    if project is not None and said.project not in {None, project}:
        raise Forbidden(f"This key sees the project '{project}' only.")
    return TraceFilter(
        project=project or said.project,
        conditions=said.conditions,
        q=" ".join(filter(None, (query.get("q"), said.q))) or None,
        app=query.get("app") or None,
        model=query.get("model") or None,
        outcome=query.get("outcome") or None,
        session=query.get("session") or said.session,
        user=query.get("user") or said.user,
        tag=query.get("tag") or None,
        score=query.get("score") or None,
        since_ns=_time(query.get("from"), "from") or said.since_ns,
        until_ns=_time(query.get("to"), "to") or said.until_ns,
        limit=_limit(query),
        cursor=query.get("cursor") or None,
    )


def _time(text: str | None, name: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedRequest(f"'{name}' must be a time like 2026-01-31T12:00:00Z.", name) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Traces count nanoseconds since 1970 in 64 bits, which ends in 2262.
    return int(min(max(moment.timestamp(), 0.0), 9e9) * 1e9)


def _scope(caller: Caller) -> str | None:
    """The project a caller may see; admins see all."""
    return None if caller.role == "admin" else caller.project


_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers by which proxies say for whom they ask."""


def _is_here(request: Request) -> bool:
    """Whether a request comes from this machine itself, and not by a proxy on it for somebody else."""
    host = client_address(request)
    is_loopback = host == "::1" or host.startswith("127.")
    return is_loopback and not any(name in request.headers for name in _FORWARDED)
