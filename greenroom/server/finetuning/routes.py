"""`/v1/fine_tuning/…`: jobs, what they told, checkpoints, who may use models, graders. JSON in, JSON out."""

from typing import Any, Protocol

from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.exchange import Caller
from greenroom.server.routing import Doc, Note, json_answer, noted, read_body
from greenroom.wire.finetune import (
    GraderRun,
    GraderToValidate,
    JobQuery,
    NewJob,
    NewPermissions,
    read_job_query,
)

FINE_TUNING = b"/v1/fine_tuning/"
Json = dict[str, Any]  # Any: JSON
_JOBS = "/v1/fine_tuning/jobs"
_JOB = _JOBS + "/{fine_tuning_job_id}"
_PERMISSIONS = "/v1/fine_tuning/checkpoints/{fine_tuned_model_checkpoint}/permissions"
_GRADERS = "/v1/fine_tuning/alpha/graders"
_PAGE = ("limit", "after")
_new_job, _new_permissions = Decoder(NewJob), Decoder(NewPermissions)
_grader_run, _grader = Decoder(GraderRun), Decoder(GraderToValidate)


class Jobs(Protocol):
    """What blocks: asked in worker threads. Raises: RequestError, StoreError."""

    def create(self, caller: Caller, wanted: NewJob) -> Json: ...
    def get(self, caller: Caller, id: str) -> Json: ...
    def jobs(self, caller: Caller, query: JobQuery) -> Json: ...
    def cancel(self, caller: Caller, id: str) -> Json: ...
    def pause(self, caller: Caller, id: str) -> Json: ...
    def resume(self, caller: Caller, id: str) -> Json: ...
    def events(self, caller: Caller, id: str, query: JobQuery) -> Json: ...
    def checkpoints(self, caller: Caller, id: str, query: JobQuery) -> Json: ...
    def permit(self, caller: Caller, model: str, projects: list[str]) -> Json: ...
    def permissions(self, caller: Caller, model: str, query: JobQuery) -> Json: ...
    def revoke(self, caller: Caller, model: str, permission: str) -> Json: ...


class FinetuneAdministration(Protocol):
    """What the routes need from the rest."""

    @property
    def desk(self) -> Jobs: ...
    def validate_grader(self, caller: Caller, grader: Json) -> Json: ...
    async def run_grader(self, caller: Caller, asked: GraderRun) -> Json: ...


class FinetuneRoutes:
    """Answers for fine-tuning; each job belongs to the project of the key that made it."""

    def __init__(self, jobs: FinetuneAdministration, note: Note) -> None:
        self._all = jobs
        self._note = note

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        return (
            Doc(_JOBS, "POST", "app", "Train a model on a file.", self._create, (), NewJob),
            Doc(
                _JOBS, "GET", "app", "List fine-tuning jobs, newest first.", self._list, (*_PAGE, "metadata")
            ),
            Doc(_JOB, "GET", "app", "Read a job and how it goes.", self._get),
            Doc(_JOB + "/cancel", "POST", "app", "End a job for good.", self._cancel),
            Doc(_JOB + "/pause", "POST", "app", "Let a job rest.", self._pause),
            Doc(_JOB + "/resume", "POST", "app", "Let a job go on.", self._resume),
            Doc(_JOB + "/events", "GET", "app", "List what a job told, newest first.", self._events, _PAGE),
            Doc(_JOB + "/checkpoints", "GET", "app", "List a job's checkpoints.", self._checkpoints, _PAGE),
            Doc(
                _PERMISSIONS, "POST", "operator", "Let other projects use a model.", self._permit, (),
                NewPermissions,
            ),
            Doc(
                _PERMISSIONS, "GET", "operator", "List the projects that may use a model.",
                self._permissions, (*_PAGE, "order", "project_id"),
            ),
            Doc(
                _PERMISSIONS + "/{permission_id}", "DELETE", "operator", "Take such a permission back.",
                self._revoke,
            ),
            Doc(_GRADERS + "/run", "POST", "app", "Grade one answer.", self._run_grader, (), GraderRun),
            Doc(
                _GRADERS + "/validate", "POST", "app", "See whether a grader is right.",
                self._validate_grader, (), GraderToValidate,
            ),
        )  # fmt: skip

    # jobs

    async def _create(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _new_job)
        made = await run_in_threadpool(lambda: self._all.desk.create(caller, wanted))
        await noted(self._note, request, caller, "finetune.create", id=made["id"])
        return json_answer(made)

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = read_job_query(request.query_params)
        return json_answer(await run_in_threadpool(lambda: self._all.desk.jobs(caller, query)))

    async def _get(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        return json_answer(await run_in_threadpool(lambda: self._all.desk.get(caller, _job(request))))

    async def _cancel(self, request: Request, caller: Caller | None) -> Response:
        return await self._changed(request, caller, "cancel")

    async def _pause(self, request: Request, caller: Caller | None) -> Response:
        return await self._changed(request, caller, "pause")

    async def _resume(self, request: Request, caller: Caller | None) -> Response:
        return await self._changed(request, caller, "resume")

    async def _changed(self, request: Request, caller: Caller | None, deed: str) -> Response:
        assert caller is not None
        desk = self._all.desk
        work = {"cancel": desk.cancel, "pause": desk.pause, "resume": desk.resume}[deed]
        job = await run_in_threadpool(work, caller, _job(request))
        await noted(self._note, request, caller, f"finetune.{deed}", id=job["id"])
        return json_answer(job)

    async def _events(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = read_job_query(request.query_params)
        return json_answer(
            await run_in_threadpool(lambda: self._all.desk.events(caller, _job(request), query))
        )

    async def _checkpoints(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = read_job_query(request.query_params)
        work = self._all.desk.checkpoints
        return json_answer(await run_in_threadpool(lambda: work(caller, _job(request), query)))

    # permissions

    async def _permit(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        wanted = await read_body(request, _new_permissions)
        model = _model(request)
        given = await run_in_threadpool(lambda: self._all.desk.permit(caller, model, wanted.project_ids))
        await noted(self._note, request, caller, "finetune.permit", model=model, projects=wanted.project_ids)
        return json_answer(given)

    async def _permissions(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        query = read_job_query(request.query_params)
        work = self._all.desk.permissions
        return json_answer(await run_in_threadpool(lambda: work(caller, _model(request), query)))

    async def _revoke(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        model, permission = _model(request), request.path_params["permission_id"]
        gone = await run_in_threadpool(lambda: self._all.desk.revoke(caller, model, permission))
        await noted(self._note, request, caller, "finetune.revoke", model=model, permission=permission)
        return json_answer(gone)

    # graders

    async def _run_grader(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        return json_answer(await self._all.run_grader(caller, await read_body(request, _grader_run)))

    async def _validate_grader(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        asked = await read_body(request, _grader)
        return json_answer(await run_in_threadpool(lambda: self._all.validate_grader(caller, asked.grader)))


def _job(request: Request) -> str:
    found: str = request.path_params["fine_tuning_job_id"]
    return found


def _model(request: Request) -> str:
    found: str = request.path_params["fine_tuned_model_checkpoint"]
    return found
