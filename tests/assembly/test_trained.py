"""Trained models in a configuration: as targets and apps, priced, hidden from others, and not to be deleted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.assembly import trained
from greenroom.assembly.house import House
from greenroom.assembly.serving import ServingDesk, all_status
from greenroom.assembly.targets import ModelDesk
from greenroom.errors import ConfigError, Conflict, ExtraMissing, ModelNotFound, UpstreamUnavailable
from greenroom.exchange import Caller
from greenroom.store.trained import FILE, TrainedModel, TrainedModels
from tests.models import tiny_gguf

NAME = "ft:tiny:acme:clerk:1"
ACME = Caller(key_id="a", project="acme", role="operator")
OTHER = Caller(key_id="o", project="other", role="operator")
CONFIG = f"""
[providers.trained]
kind = "llama"
context = 1024
parallel = 3

[models.careful]
targets = ["{NAME}", "greenroom/reader"]

[apps.clerk]
model = "trained/second"

[policies.plain]
rule = "email"
action = "route"
route_to = "trained/second"

[prices."trained/*"]
input_per_mtok_usd = 0.5
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainedModels]:
    """Two models of a project; the engine counts as installed, and is not started."""
    monkeypatch.setattr(trained, "is_installed", lambda: True)
    (tmp_path / "data" / "jobs").mkdir(parents=True)
    store = TrainedModels(tmp_path / "data" / FILE)
    for name in (NAME, "second"):
        file = tiny_gguf.write(tmp_path / "data" / "jobs" / f"{name.rpartition(':')[2]}.gguf")
        store.register(
            TrainedModel(
                name=name, project="acme", created_ns=1, base="tiny", job="ftjob-1", kind="model",
                gguf=f"jobs/{file.name}",
            )
        )  # fmt: skip
    yield store
    store.close()


def opened(tmp_path: Path, config: str = CONFIG) -> House:
    file = tmp_path / "greenroom.toml"
    file.write_text(config, encoding="utf-8")
    return House.open(file, tmp_path / "data", {})


async def test_a_configuration_may_name_it_with_and_without_its_provider(
    tmp_path: Path, store: TrainedModels
) -> None:
    async with opened(tmp_path).running() as house:
        call = house.models.dispatch("careful")
        target = house.models.target(NAME)

        assert call is not None
        assert [one.name for one in call.targets] == [f"trained/{NAME}", "greenroom/reader"]
        assert target is not None
        assert target.price is not None
        assert target.price.periods[0].rates.input == 500_000, "the operator's own"
        assert target.health.parallel == 3
        assert house.models.context_window(f"trained/{NAME}") == 1024
        assert house.gateway.rooms.find("clerk", OTHER).model == "trained/second"


async def test_lists_and_figures_hide_it_from_others_though_the_configuration_names_it(
    tmp_path: Path, store: TrainedModels
) -> None:
    async with opened(tmp_path).running() as house:
        rooms, desk = house.gateway.rooms, ModelDesk(house)

        assert {NAME, "second"} <= set(rooms.names(ACME))
        assert {"careful", "clerk"} <= set(rooms.names(OTHER))
        assert not {NAME, f"trained/{NAME}", "second"} & set(rooms.names(OTHER))
        assert f"trained/{NAME}" in {one["id"] for one in desk.models("acme")}
        assert f"trained/{NAME}" not in {one["id"] for one in desk.models("other")}
        assert not [one for one in desk.models("other") if NAME in str(one) or "second" in str(one)]
        engine = next(one["engine"] for one in all_status(house, None) if one["target"] == f"trained/{NAME}")
        own = next(one["engine"] for one in all_status(house, "acme") if one["target"] == f"trained/{NAME}")
        assert engine.keys() - own.keys() == {"detail"}, "it may name folders of the machine"
        assert f"trained/{NAME}" not in {one["target"] for one in all_status(house, "other")}
        shown = ServingDesk(house).status("careful", OTHER)["targets"]
        assert [one["target"] for one in shown] == ["greenroom/reader"]
        for name in (NAME, f"trained/{NAME}"):
            with pytest.raises(ModelNotFound):
                rooms.find(name, OTHER)
            with pytest.raises(ModelNotFound):
                ServingDesk(house).status(name, OTHER)


async def test_what_the_configuration_names_is_not_deleted(tmp_path: Path, store: TrainedModels) -> None:
    async with opened(tmp_path).running() as house:
        desk = ServingDesk(house)

        with pytest.raises(Conflict, match=r"models\.careful"):
            await desk.delete(NAME, ACME, "")
        with pytest.raises(Conflict, match=r"apps\.clerk\.model, policies\.plain\.route_to\."):
            await desk.delete("second", ACME, "")
        for name in (NAME, "none"):
            with pytest.raises(ModelNotFound):
                await desk.delete(name, OTHER, "")
    assert [one.name for one in store.all()] == [NAME, "second"]


async def test_a_deletion_is_in_the_audit_log_and_is_seen_at_once(
    tmp_path: Path, store: TrainedModels
) -> None:
    async with opened(tmp_path, "").running() as house:
        house.gateway.rooms.find("second", ACME)

        assert await ServingDesk(house).delete("second", ACME, "10.0.0.9") == {
            "id": "second", "object": "model", "deleted": True
        }  # fmt: skip
        with pytest.raises(ModelNotFound):
            house.gateway.rooms.find("second", ACME)
        (line,) = [one for one in house.keys.audit_log() if one.what == "model.delete"]
    assert line.who == "a"


async def test_why_it_can_not_be_run_is_said(
    tmp_path: Path, store: TrainedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "jobs" / "second.gguf").write_bytes(b"GGUF")
    async with opened(tmp_path, "").running() as house:
        with pytest.raises(UpstreamUnavailable, match="can't be read as GGUF"):
            house.gateway.rooms.find("second", ACME)
        monkeypatch.setattr(trained, "is_installed", lambda: False)
        with pytest.raises(ExtraMissing, match=r"greenroom\[local\]"):
            house.gateway.rooms.find(NAME, ACME)
        with pytest.raises(ModelNotFound):
            house.gateway.rooms.find("second", OTHER)


async def test_weights_want_its_whole_name(tmp_path: Path, store: TrainedModels) -> None:
    weighted = f'[models.w]\ntargets = ["{NAME}", "greenroom/reader"]\nroute = "weighted"\n'
    config = weighted + f'weights = {{ "{NAME}" = 2.0 }}\n[apps.w]\nmodel = "w"\n'
    with pytest.raises(ConfigError, match=f"write 'trained/{NAME}'"):
        async with opened(tmp_path, config).running():
            pass
