"""Bias and coverage of the causal-effect benchmark on policies whose effects are known.

python -m experiments.causal_calibration.calibrate scripted
python -m experiments.causal_calibration.calibrate tiny --studies 3000
"""

from __future__ import annotations

import argparse
import csv
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir

from cpo import config
from cpo.counterfactual.interventions import Moves
from cpo.counterfactual.phrases import PhraseBook
from cpo.diagnostics.causal import Floats, per_sample, statistics_of
from cpo.evaluation.causal_effect import ResultDistributions, measure_effects
from cpo.graph.schema import ConceptGraph
from cpo.metrics.intervals import cluster_bootstraps
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.results import ResultScorer
from cpo.records import Sample
from cpo.tracking.composite import CompositeTracker
from cpo.training.init import Start
from experiments.causal_calibration import scripted

HERE = Path(__file__).parent
STUDIES, BLOCK = 200, 250
COLUMNS = ("policy", "measure", "truth", "mean", "bias", "se", "coverage", "mean_width", "repetitions", "population")
Table = Mapping[str, Floats]

SMALL = [
    "dataset=chest_world",
    "dataset.world.difficulty=easy",
    "dataset.world.image_size=64",
    "dataset.world.workers=1",
    "policy.hidden=64",
    "policy.layers=2",
    "policy.vision_layers=2",
    "policy.image_size=56",
    "policy.vision_steps=150",
    "policy.alignment_steps=0",
    "init.share=1.0",
    "trainer.progress=false",
]


def main() -> None:
    """One of the two parts; rows of the other are kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("policy", choices=["scripted", "tiny"])
    parser.add_argument("--repetitions", type=int, default=400, help="samples of 200 studies")
    parser.add_argument("--studies", type=int, default=3000, help="of the tiny policy's population")
    parser.add_argument("--training", type=int, default=3000, help="studies of the world that it is trained on")
    parser.add_argument("--steps", type=int, default=300, help="of its SFT")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="worlds, weights, scored blocks")
    asked = parser.parse_args()
    if asked.policy == "scripted":
        truth, repetitions = scripted.truth(), scripted_samples(asked.repetitions)
        population = 0
    else:
        table, groups = tiny_population(asked.studies, asked.training, asked.steps, asked.cache)
        names, statistic = statistics_of(table)
        population = len(groups)
        truth = dict(zip(names, statistic(np.ones((1, population)))[0].tolist(), strict=True))
        repetitions = resampled(table, groups, asked.repetitions)
    rows = calibrated(asked.policy, truth, repetitions, population)
    write(rows, asked.policy)


def calibrated(
    policy: str, truth: Mapping[str, float], repetitions: Iterator[tuple[Table, Sequence[str]]], population: int
) -> list[dict[str, Any]]:
    """For each measure how the estimates of many samples lie about the truth."""
    values: dict[str, list[tuple[float, float, float]]] = {name: [] for name in truth}
    for number, (table, groups) in enumerate(repetitions):
        names, statistic = statistics_of({name: column for name, column in table.items() if "/" not in name})
        found = cluster_bootstraps(statistic, groups, resamples=1000, seed=number)
        for name, interval in zip(names, found, strict=True):
            if name in values:
                values[name].append((interval.value, interval.low, interval.high))
    rows = []
    for name, some in values.items():
        if not some:
            continue
        value, low, high = np.array(some).T
        # an interval of no width about a constant is right, up to rounding
        covers = (low - 1e-9 <= truth[name]) & (truth[name] <= high + 1e-9)
        rows.append(
            dict(
                zip(
                    COLUMNS,
                    (
                        policy,
                        name,
                        truth[name],
                        value.mean(),
                        value.mean() - truth[name],
                        value.std(ddof=1),
                        covers.mean(),
                        (high - low).mean(),
                        len(value),
                        population,
                    ),
                    strict=True,
                )
            )
        )
    return rows


def scripted_samples(repetitions: int) -> Iterator[tuple[Table, Sequence[str]]]:
    """Fresh patients in each repetition, as many as make 200 studies."""
    moves = Moves(ConceptGraph.load("chest"), PhraseBook.load("chest"), swapped="view", results=scripted.RESULTS)
    for number in range(repetitions):
        rng = np.random.default_rng([7, number])
        samples: list[Sample] = []
        while len(samples) < STUDIES:
            samples += scripted.draw_patient(len(samples), rng)
        # ids repeat between repetitions, and what a sample draws follows its id: so does the seed
        yield measured(scripted.ScriptedPolicy(), samples, moves, seed=number)


def measured(
    policy: ResultDistributions, samples: Sequence[Sample], moves: Moves, *, seed: int
) -> tuple[Table, Sequence[str]]:
    """What each study contributes, and its patient."""
    made = [moves.of(sample, seed=seed) for sample in samples]
    effects = measure_effects(policy, samples, made, batch_size=16)
    return per_sample(effects, len(samples), policy.results), [sample.group for sample in samples]


def resampled(table: Table, groups: Sequence[str], repetitions: int) -> Iterator[tuple[Table, Sequence[str]]]:
    """Patients drawn from the population, as many as make 200 studies.

    They are drawn with replacement, each draw a patient of its own: the population is then the whole truth, whatever
    its size.
    """
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    patients = list(members.values())
    for number in range(repetitions):
        rng = np.random.default_rng([11, number])
        studies: list[int] = []
        clusters: list[str] = []
        while len(studies) < STUDIES:
            drawn = patients[int(rng.integers(len(patients)))]
            clusters += [str(len(studies))] * len(drawn)
            studies += drawn
        yield {name: column[studies] for name, column in table.items()}, clusters


def tiny_population(studies: int, training: int, steps: int, cache: Path) -> tuple[Table, Sequence[str]]:
    """What each study of another world contributes under a tiny policy after SFT; scored blocks are kept on disk."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    warnings.filterwarnings("ignore")
    trained = composed(training, 0, cache, f"init.optim.max_steps={steps}")
    policy, answers = tiny_policy(trained, cache)
    world = config.build_dataset(composed(studies, 1, cache).dataset)
    samples = [sample for split in ("train", "validate", "test") for sample in world.samples(split)]
    moves = Moves(ConceptGraph.load("chest"), PhraseBook.load("chest"), swapped="view", results=answers.results)
    scorer = ResultScorer(policy, answers)
    folder = cache / "causal_calibration" / f"{policy.directory.name}-{studies}"
    folder.mkdir(parents=True, exist_ok=True)
    blocks = []
    for start in range(0, len(samples), BLOCK):
        path = folder / f"{start:06}.npz"
        if not path.is_file():
            table, _ = measured(scorer, samples[start : start + BLOCK], moves, seed=0)
            with path.with_suffix(".part").open("wb") as file:
                np.savez(file, allow_pickle=False, **{k: v for k, v in table.items() if "/" not in k})
            path.with_suffix(".part").replace(path)
            print(f"{min(start + BLOCK, len(samples)):,} of {len(samples):,} studies", flush=True)
        blocks.append(dict(np.load(path)))
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return columns, [sample.group for sample in samples]


def composed(studies: int, seed: int, cache: Path, *more: str) -> Any:
    """The default config of `train.py`, with a smaller policy and world."""
    config.register_schemas()
    with initialize_config_dir(str(config.ROOT / "conf"), version_base="1.3"):
        world = [f"dataset.world.studies={studies}", f"dataset.world.seed={seed}", f"paths.cache={cache.absolute()}"]
        return compose("train", [*SMALL, *world, *more])


def tiny_policy(cfg: Any, cache: Path) -> tuple[LoadedPolicy, Any]:
    """The policy after SFT, trained once."""
    dataset = config.build_dataset(cfg.dataset)
    samples = tuple(dataset.samples("train"))
    backbone = config.build(cfg.policy)
    base = backbone.directory(cache.absolute(), samples=samples, results=dataset.answers.results, seed=0)
    start = Start(
        backbone,
        base,
        samples,
        config.build(cfg.trainer),
        CompositeTracker(trackers=[]),
        cache.absolute(),
        0,
        {"experiment": "causal_calibration", "data": dataset.fingerprint},
    )
    directory, report = config.build(cfg.init).prepare(start)
    print(f"SFT: {report.as_dict()}", flush=True)
    model = backbone.load_model(directory).eval()
    layout = config.build(cfg.layout)
    return LoadedPolicy(
        model, backbone.load_encoder(directory), layout, backbone.max_length, directory
    ), dataset.answers


def write(rows: list[dict[str, Any]], policy: str) -> None:
    """results.csv with these rows in place of earlier ones of the same policy, and the figure."""
    path = HERE / "results.csv"
    kept = list(csv.DictReader(path.open())) if path.is_file() else []
    text = [{key: _told(value) for key, value in row.items()} for row in rows]
    every = sorted([row for row in kept if row["policy"] != policy] + text, key=lambda row: row["policy"])
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(every)
    for row in text:
        print({key: row[key] for key in ("measure", "truth", "mean", "bias", "se", "coverage")})
    (HERE / "calibration.svg").write_text("\n".join(drawing(every)) + "\n", encoding="utf-8")


def _told(value: Any) -> str:
    """A value of a row; what is left of rounding is nothing."""
    return (f"{value:.6g}" if abs(value) > 1e-12 else "0") if isinstance(value, float) else str(value)


def drawing(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Coverage of every measure that varies, and its bias in standard errors, as SVG."""
    varied = [row for row in rows if float(row["se"]) > 1e-9]
    names = list(dict.fromkeys(row["measure"] for row in varied))
    bottom = 30 + 24 * len(names)
    panels = ((200, (0.86, 1.0), "coverage of the 95 % interval"), (470, (-0.5, 0.5), "bias / standard error"))
    font = 'font-family="sans-serif" font-size="12"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {bottom + 52}" {font}>'
    # from 92 to 98 %
    yield f'<rect x="294.3" y="30" width="94.3" height="{bottom - 30}" fill="#ddd"/>'
    for left, (low, high), title in panels:
        yield f'<text x="{left}" y="18">{title}</text>'
        yield f'<rect x="{left}" y="30" width="220" height="{bottom - 30}" fill="none" stroke="#999"/>'
        for tick in (low, (low + high) / 2, high):
            at = left + 220 * (tick - low) / (high - low)
            yield f'<text x="{at:.0f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
    for place, name in enumerate(names):
        yield f'<text x="190" y="{46 + 24 * place}" text-anchor="end">{name.replace("_", " ")}</text>'
    for row in varied:
        y = 42 + 24 * names.index(row["measure"])
        numbers = (float(row["coverage"]), float(row["bias"]) / float(row["se"]))
        for (left, (low, high), _), number in zip(panels, numbers, strict=True):
            yield _mark(row["policy"], left + 220 * (min(max(number, low), high) - low) / (high - low), y)
    for left, policy in ((206, "scripted"), (330, "tiny")):
        yield _mark(policy, left, bottom + 36)
        yield f'<text x="{left + 12}" y="{bottom + 40}">{policy} policy</text>'
    yield "</svg>"


def _mark(policy: str, x: float, y: float) -> str:
    if policy == "scripted":
        return f'<circle cx="{x:.1f}" cy="{y - 4:.1f}" r="5" fill="#0072B2"/>'
    return f'<rect x="{x - 4.5:.1f}" y="{y - 0.5:.1f}" width="9" height="9" fill="#D55E00"/>'


if __name__ == "__main__":
    main()
