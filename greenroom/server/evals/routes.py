"""`/v1/evals/…`: evals, their runs, and what these graded. Bodies and queries in, JSON out."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from msgspec.json import Decoder
from starlette.requests import Request
from starlette.responses import Response

from greenroom.exchange import Caller
from greenroom.server.routing import Doc, Note, json_answer, noted, read_body
from greenroom.wire.evals import EvalChange, ListQuery, NewEval, NewRun, read_query

EVALS = b"/v1/evals"
Json = dict[str, Any]  # Any: JSON
_EVAL = "/v1/evals/{eval_id}"
_RUNS = _EVAL + "/runs"
_RUN = _RUNS + "/{run_id}"
_ITEMS = _RUN + "/output_items"
_PAGE = ("limit", "order", "after")
_STATUSES = ("queued", "in_progress", "completed", "canceled", "failed")
_new_eval, _change, _new_run = Decoder(NewEval), Decoder(EvalChange), Decoder(NewRun)


class EvalAdministration(Protocol):
    """What the routes need from the rest. Raises: RequestError, StoreError."""

    async def create(self, caller: Caller, wanted: NewEval) -> Json: ...
    async def get(self, caller: Caller, id: str) -> Json: ...
    async def change(self, caller: Caller, id: str, wanted: EvalChange) -> Json: ...
    async def list_evals(self, caller: Caller, query: ListQuery) -> Json: ...
    async def delete(self, caller: Caller, id: str) -> Json: ...
    async def create_run(self, caller: Caller, id: str, wanted: NewRun, base_url: str) -> Json: ...
    async def get_run(self, caller: Caller, id: str, run: str, base_url: str) -> Json: ...
    async def list_runs(self, caller: Caller, id: str, query: ListQuery, base_url: str) -> Json: ...
    async def cancel_run(self, caller: Caller, id: str, run: str, base_url: str) -> Json: ...
    async def delete_run(self, caller: Caller, id: str, run: str) -> Json: ...
    async def get_item(self, caller: Caller, id: str, run: str, item: str) -> Json: ...
    async def list_items(self, caller: Caller, id: str, run: str, query: ListQuery) -> Json: ...


class EvalRoutes:
    """Answers for evals; each belongs to the project of the key that made it."""

    def __init__(self, evals: Callable[[], EvalAdministration], note: Note) -> None:
        self._made = evals
        self._note = note

    @property
    def _evals(self) -> EvalAdministration:
        return self._made()

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc("/v1/evals", "POST", "app", "Make an eval.", self._create, (), NewEval, 201),
            Doc("/v1/evals", "GET", "app", "List evals.", self._list, (*_PAGE, "order_by")),
            Doc(_EVAL, "GET", "app", "Read an eval.", self._get),
            Doc(_EVAL, "POST", "app", "Give an eval another name or metadata.", self._update, (), EvalChange),
            Doc(_EVAL, "DELETE", "app", "Delete an eval and its runs.", self._delete),
            Doc(_RUNS, "POST", "app", "Begin a run of an eval.", self._create_run, (), NewRun, 201),
            Doc(_RUNS, "GET", "app", "List the runs of an eval.", self._list_runs, (*_PAGE, "status")),
            Doc(_RUN, "GET", "app", "Read a run and its counts.", self._get_run),
            Doc(_RUN, "POST", "app", "Cancel a run, as older clients do.", self._cancel_run),
            Doc(_RUN + "/cancel", "POST", "app", "Cancel a run.", self._cancel_run),
            Doc(_RUN, "DELETE", "app", "Delete a run.", self._delete_run),
            Doc(
                _ITEMS, "GET", "app", "List the rows that a run graded.", self._list_items, (*_PAGE, "status")
            ),
            Doc(_ITEMS + "/{output_item_id}", "GET", "app", "Read a graded row.", self._get_item),
        )

    # evals

    async def _create(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        made = await self._evals.create(caller, await read_body(request, _new_eval))
        await noted(self._note, request, caller, "eval.create", id=made["id"])
        return json_answer(made, 201)

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        return json_answer(await self._evals.list_evals(caller, read_query(request.query_params)))

    async def _get(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        return json_answer(await self._evals.get(caller, _eval(request)))

    async def _update(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _change)
        return json_answer(await self._evals.change(caller, _eval(request), wanted))

    async def _delete(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        gone = await self._evals.delete(caller, _eval(request))
        await noted(self._note, request, caller, "eval.delete", id=gone["eval_id"])
        return json_answer(gone)

    # runs

    async def _create_run(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _new_run)
        return json_answer(await self._evals.create_run(caller, _eval(request), wanted, _base(request)), 201)

    async def _list_runs(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = read_query(request.query_params, _STATUSES)
        return json_answer(await self._evals.list_runs(caller, _eval(request), query, _base(request)))

    async def _get_run(self, request: Request, caller: Caller | None) -> Response:
        return await self._one_run(request, caller, self._evals.get_run)

    async def _cancel_run(self, request: Request, caller: Caller | None) -> Response:
        return await self._one_run(request, caller, self._evals.cancel_run)

    async def _one_run(
        self,
        request: Request,
        caller: Caller | None,
        work: Callable[[Caller, str, str, str], Awaitable[Json]],
    ) -> Response:
        assert caller is not None
        return json_answer(await work(caller, _eval(request), request.path_params["run_id"], _base(request)))

    async def _delete_run(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        gone = await self._evals.delete_run(caller, _eval(request), request.path_params["run_id"])
        await noted(self._note, request, caller, "eval.run.delete", id=gone["run_id"])
        return json_answer(gone)

    # graded rows

    async def _list_items(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = read_query(request.query_params, ("pass", "fail", "error"))
        run = request.path_params["run_id"]
        return json_answer(await self._evals.list_items(caller, _eval(request), run, query))

    async def _get_item(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        run, item = request.path_params["run_id"], request.path_params["output_item_id"]
        return json_answer(await self._evals.get_item(caller, _eval(request), run, item))


def _eval(request: Request) -> str:
    found: str = request.path_params["eval_id"]
    return found


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
