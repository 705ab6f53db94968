"""The pages of a server, all of them: made with the first request for one, and not imported before."""

from starlette.routing import Router

from greenroom.assembly.administration import PagesDesk
from greenroom.assembly.alertdesk import AlertDesk
from greenroom.assembly.batch_pages import BatchPagesDesk
from greenroom.assembly.comparisons import ComparisonDesk
from greenroom.assembly.data_sets import DataSetDesk
from greenroom.assembly.deploying import DeployDesk
from greenroom.assembly.driftdesk import DriftDesk
from greenroom.assembly.evalpages import EvalPagesDesk
from greenroom.assembly.experiments import ExperimentDesk
from greenroom.assembly.faces import Behind
from greenroom.assembly.finetune_pages import TrainingPages
from greenroom.assembly.house import House
from greenroom.assembly.new_trainings import NewTrainings
from greenroom.assembly.optimizations import OptimizationDesk
from greenroom.assembly.overviewing import OverviewDesk
from greenroom.assembly.playing import PlayDesk
from greenroom.assembly.promptpages import PromptPagesDesk
from greenroom.assembly.qualitydesk import QualityDesk
from greenroom.assembly.safety import SafetyDesk
from greenroom.assembly.serving import ServingPagesDesk
from greenroom.assembly.settings import SettingsDesk
from greenroom.server.pages import once
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
from greenroom.server.pages.sessions import MOST_ADDRESSES, MOST_SESSIONS, Shelves
from greenroom.server.pages.settings import SettingsPages
from greenroom.server.pages.site import pages
from greenroom.store.shared import SharedThings


def site_of(behind: Behind) -> Router:
    """All pages. Blocks: it imports them."""
    desk = PagesDesk(behind.house)
    return Router(pages(desk, behind.shelves, shelves=_shelves(behind.house), more=_rooms_of(behind)))


def _rooms_of(behind: Behind) -> tuple[Room, ...]:
    """Pages that bring routes of their own."""
    house = behind.house
    prompts = PromptPagesDesk(house)
    return (
        ServingPages(ServingPagesDesk(house)).routes,
        DataSetPages(DataSetDesk(house), house.documents.files, behind.shelves.file_bytes).routes,
        ComparisonPages(ComparisonDesk(house)).routes,
        NewTrainingPage(NewTrainings(behind.finetuning), _forms(house)).routes,
        FinetuningPages(TrainingPages(behind.finetuning)).routes,
        DeploymentsPage(DeployDesk(house)).routes,
        OverviewPages(OverviewDesk(house)).routes,
        SettingsPages(SettingsDesk(behind.desk), _forms(house)).routes,
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


def _shelves(house: House) -> Shelves | None:
    """Where several workers keep who is at the browser."""
    shared = house.shared
    if shared is None:
        return None
    return Shelves(
        SharedThings(shared, "session", MOST_SESSIONS),
        SharedThings(shared, "try", MOST_ADDRESSES),
        shared.digest("login form"),
    )


def _forms(house: House) -> SharedThings | None:
    """Where several workers keep which forms were sent, so that none makes a thing twice."""
    return None if house.shared is None else SharedThings(house.shared, "form", once.MOST)
