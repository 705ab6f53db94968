"""What a server shows beside the fast path and its pages: the routes of administration."""

from typing import NamedTuple

from greenroom.assembly.administration import Desk
from greenroom.assembly.alertdesk import AlertDesk
from greenroom.assembly.batches import HostedBatches
from greenroom.assembly.deploying import DeployDesk
from greenroom.assembly.driftdesk import DriftDesk
from greenroom.assembly.evals import HostedEvals
from greenroom.assembly.experiments import ExperimentDesk
from greenroom.assembly.finetuning import Finetuning
from greenroom.assembly.house import House
from greenroom.assembly.promptdesk import PromptDesk
from greenroom.assembly.qualitydesk import QualityDesk
from greenroom.assembly.retaining import RetentionDesk
from greenroom.server import knowledge, responses
from greenroom.server.alerts import AlertApi
from greenroom.server.batches import BatchRoutes
from greenroom.server.deployments import DeploymentApi
from greenroom.server.drift import DriftApi
from greenroom.server.evals import EvalRoutes
from greenroom.server.experiments import ExperimentApi
from greenroom.server.finetuning import FinetuneRoutes
from greenroom.server.otlp import OtlpApi
from greenroom.server.prompts import PromptApi
from greenroom.server.quality import QualityApi
from greenroom.server.retention import RetentionApi
from greenroom.server.routing import Doc, Note
from greenroom.server.serving import ServingApi
from greenroom.server.usage import UsageApi


class Behind(NamedTuple):
    """What stands behind the faces of one server."""

    house: House
    desk: Desk
    shelves: knowledge.Desk
    note: Note
    kept: responses.Desk
    background: responses.Background
    evals: HostedEvals
    finetuning: Finetuning
    batches: HostedBatches


def docs_of(behind: Behind) -> tuple[Doc, ...]:
    """Routes of the API that the fast path does not answer, with their descriptions."""
    house, desk, note = behind.house, behind.desk, behind.note
    return (
        *UsageApi(desk).docs(),
        *ServingApi(desk.serving).docs(),
        *PromptApi(PromptDesk(house)).docs(),
        *ExperimentApi(ExperimentDesk(house)).docs(),
        *DeploymentApi(DeployDesk(house)).docs(),
        *DriftApi(DriftDesk(house)).docs(),
        *QualityApi(QualityDesk(house)).docs(),
        *AlertApi(AlertDesk(house)).docs(),
        *RetentionApi(RetentionDesk(house)).docs(),
        *knowledge.docs(behind.shelves),
        *responses.docs(behind.kept, behind.background, house.access),
        *EvalRoutes(lambda: behind.evals.desk, note).docs(),
        *FinetuneRoutes(behind.finetuning, note).docs(),
        *BatchRoutes(lambda: behind.batches.desk, note).docs(),
        *OtlpApi(desk.ingest).docs(),
    )
