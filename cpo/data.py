"""From dataset to preference pairs: the torch-free half of a run, put together from its config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from cpo import config
from cpo.dataset.split import split_groups
from cpo.drift.stream import concept_samples, concepts_of, make_stream
from cpo.evaluation.benchmark import HeldOut
from cpo.preference.pairing import PairSet
from cpo.records import DriftTruth, Stream


@dataclass(frozen=True)
class Data:
    """Everything a run reads, from dataset to pairs.

    Args:
        dataset: The reader.
        sft: Stream of the SFT stage; None without one.
        stream: Stream of the preference stage.
        pairs: Its preference pairs, in its order.
        counterfactuals: How their making went.
        held_out: What the run is judged on.
    """

    dataset: Any
    sft: Stream | None
    stream: Stream
    pairs: PairSet
    counterfactuals: Mapping[str, Any]
    held_out: HeldOut


class DataPlan:
    """What a run reads and makes of it, as objects.

    Args:
        cfg: The composed root config.
        share: Share of the training patients that the SFT stage trains on.
    """

    def __init__(self, cfg: DictConfig, *, share: float) -> None:
        self.cfg, self.share, self.seed = cfg, share, int(cfg.seed)
        self.schedule = config.build(cfg.drift)
        self.shifts = config.build_all(cfg.shift)
        self.method = config.build(cfg.counterfactual)
        self.pairing = config.build(cfg.pairing)

    def dataset(self) -> Any:
        """The reader, over a generated world that is made first if need be."""
        return config.build_dataset(self.cfg.dataset)

    def read(self) -> Data:
        """Dataset → drift stream → counterfactuals → preference pairs, for training and for judging."""
        dataset = self.dataset()
        for split in ("train", self.cfg.held_out):
            dataset.check_references(split)
        training = tuple(dataset.samples("train"))
        for_sft, for_preference = self._shared_out(training)
        length = None if self.cfg.length == -1 else self.cfg.length
        sft = make_stream(for_sft, self.schedule, self.shifts, self.seed) if for_sft else None
        stream = make_stream(for_preference, self.schedule, self.shifts, self.seed + 1, length)
        made = self.method.make(stream.samples, seed=self.seed)
        pairs = self.pairing.make(stream, made)
        return Data(
            dataset=dataset,
            sft=sft,
            stream=stream,
            pairs=pairs,
            counterfactuals={**made.stats, "rejected": dict(made.rejected), "dropped": dict(pairs.dropped)},
            held_out=self._held_out(dataset),
        )

    def _shared_out(self, training: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """Training samples of the SFT stage and of the preference stage, no patient in both unless both see all."""
        if self.share == 0:
            return (), training
        if self.share == 1:
            return training, training
        for_sft, for_preference = split_groups(training, self.share, self.seed)
        return for_sft, for_preference

    def _held_out(self, dataset: Any) -> HeldOut:
        samples = tuple(dataset.samples(self.cfg.held_out))
        position = {sample.id: index for index, sample in enumerate(samples)}
        concepts = {
            concept.name: [
                position[sample.id]
                for sample in concept_samples(samples, self.shifts, concept.index, self.seed).samples
            ]
            for concept in concepts_of(self.shifts)
            if self.shifts
        }
        everything = Stream(tuple(samples), DriftTruth(concepts_of({}), (0,) * len(samples)))
        pairs = self.pairing.make(everything, self.method.make(samples, seed=self.seed))
        return HeldOut(samples, concepts, pairs, dataset.answers, dataset.scored)
