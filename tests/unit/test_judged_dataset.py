"""`dataset@judged=NAME`: a run that is trained on one dataset and judged on another."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir

from cpo.config import register_schemas
from cpo.data import DataPlan

CONF = Path(__file__).parents[2] / "conf"
SMALL = ["world.studies=40", "world.image_size=64", "world.workers=1"]


def test_what_is_judged_comes_from_the_other_dataset_and_what_is_trained_on_from_the_first(tmp_path: Path) -> None:
    register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[
            "dataset@judged=chest_world", "judged.name=other", "judged.world.seed=1", "shift=none", "drift=stationary",
            *(f"{group}.{knob}" for group in ("dataset", "judged") for knob in SMALL), f"paths.cache={tmp_path}",
        ])  # fmt: skip
        data = DataPlan(cfg, share=0.5).read()
        without = DataPlan(cfg, share=0.5, pairs_judged=False).read()
    assert {s.provenance.dataset for s in data.stream.samples} == {data.dataset.name}
    assert {s.provenance.dataset for s in data.held_out.samples} == {"other"}
    assert {pair.sample.provenance.dataset for pair in data.held_out.pairs.pairs} == {"other"}
    assert without.held_out.pairs.pairs == ()
    assert without.pairs.fingerprint == data.pairs.fingerprint
    assert data.judged.fingerprint != data.dataset.fingerprint
