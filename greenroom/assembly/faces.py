"""What a server shows beside the fast path: administration's routes, and pages that bring their own."""

from typing import NamedTuple

from greenroom.assembly.administration import Desk
from greenroom.assembly.alertdesk import AlertDesk
from greenroom.assembly.batch_pages import BatchPagesDesk
from greenroom.assembly.batches import HostedBatches
from greenroom.assembly.comparisons import ComparisonDesk
from greenroom.assembly.data_sets import DataSetDesk
from greenroom.assembly.deploying import DeployDesk
from greenroom.assembly.driftdesk import DriftDesk
from greenroom.assembly.evalpages import EvalPagesDesk
from greenroom.assembly.evals import HostedEvals
from greenroom.assembly.experiments import ExperimentDesk
from greenroom.assembly.finetune_pages import TrainingPages
from greenroom.assembly.finetuning import Finetuning
from greenroom.assembly.house import House
from greenroom.assembly.new_trainings import NewTrainings
from greenroom.assembly.optimizations import OptimizationDesk
from greenroom.assembly.overviewing import OverviewDesk
from greenroom.assembly.playing import PlayDesk
from greenroom.assembly.promptdesk import PromptDesk
from greenroom.assembly.promptpages import PromptPagesDesk
from greenroom.assembly.qualitydesk import QualityDesk
from greenroom.assembly.retaining import RetentionDesk
from greenroom.assembly.safety import SafetyDesk
from greenroom.assembly.serving import ServingPagesDesk
from greenroom.assembly.settings import SettingsDesk
from greenroom.server import knowledge, responses
from greenroom.server.alerts import AlertApi
from greenroom.server.batches import BatchRoutes
from greenroom.server.deployments import DeploymentApi
from greenroom.server.drift import DriftApi
from greenroom.server.evals import EvalRoutes
from greenroom.server.experiments import ExperimentApi
from greenroom.server.finetuning import FinetuneRoutes
from greenroom.server.knowledge.desk import Note
from greenroom.server.otlp import OtlpApi
from greenroom.server.pages.alerts import AlertPages
from greenroom.server.pages.batches import BatchPages
from greenroom.server.pages.comparing import ComparisonPages
from greenroom.server.pages.data_sets import DataSetPages
from greenroom.server.pages.deployments import DeploymentsPage
from greenroom.server.pages.doors import Room
from greenroom.server.pages.drift import DriftPage
from greenroom.server.pages.evaluations import EvaluationPages
from greenroom.server.pages.experiments import ExperimentPages
from greenroom.server.pages.finetuning import FinetuningPages
from greenroom.server.pages.new_training import NewTrainingPage
from greenroom.server.pages.optimizations import OptimizationPages
from greenroom.server.pages.overview import OverviewPages
from greenroom.server.pages.playground import Playground
from greenroom.server.pages.prompt_editor import PromptEditor
from greenroom.server.pages.prompts import PromptPages
from greenroom.server.pages.quality import QualityPage
from greenroom.server.pages.safety import SafetyPage
from greenroom.server.pages.serving import ServingPages
from greenroom.server.pages.settings import SettingsPages
from greenroom.server.prompts import PromptApi
from greenroom.server.quality import QualityApi
from greenroom.server.retention import RetentionApi
from greenroom.server.routing import Doc
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


def rooms_of(behind: Behind) -> tuple[Room, ...]:
    """Pages that bring routes of their own."""
    house = behind.house
    prompts = PromptPagesDesk(house)
    return (
        ServingPages(ServingPagesDesk(house)).routes,
        DataSetPages(DataSetDesk(house), house.documents.files, behind.shelves.file_bytes).routes,
        ComparisonPages(ComparisonDesk(house)).routes,
        NewTrainingPage(NewTrainings(behind.finetuning)).routes,
        FinetuningPages(TrainingPages(behind.finetuning)).routes,
        DeploymentsPage(DeployDesk(house)).routes,
        OverviewPages(OverviewDesk(house)).routes,
        SettingsPages(SettingsDesk(behind.desk)).routes,
        DriftPage(DriftDesk(house)).routes,
        QualityPage(QualityDesk(house)).routes,
        SafetyPage(SafetyDesk(house)).routes,
        BatchPages(BatchPagesDesk(house, behind.batches)).routes,
        PromptEditor(prompts).routes,
        PromptPages(prompts).routes,
        Playground(PlayDesk(house)).routes,
        EvaluationPages(EvalPagesDesk(house)).routes,
        ExperimentPages(ExperimentDesk(house)).routes,
        OptimizationPages(OptimizationDesk(house)).routes,
        AlertPages(AlertDesk(house)).routes,
    )
