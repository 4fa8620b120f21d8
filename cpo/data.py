"""From dataset to preference pairs: the torch-free half of a run, put together from its config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from cpo import config
from cpo.answers import AnswerFormat
from cpo.dataset.split import split_groups
from cpo.drift.stream import concept_samples, concepts_of, make_stream
from cpo.errors import ConfigError
from cpo.evaluation.benchmark import HeldOut
from cpo.preference.pairing import PairSet
from cpo.records import DriftTruth, Sample, Stream


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

    def second(self, first: Any) -> Any:
        """The reader of the dataset that `shift=domain` goes over into; None without one.

        Raises:
            ConfigError: Its answers are not those of the first.
        """
        if self.cfg.get("second") is None:
            return None
        dataset = config.build_dataset(self.cfg.second)
        if dataset.results != first.results or dataset.name == first.name:
            raise ConfigError(
                got=f"dataset={first.name} and dataset@second={dataset.name}",
                wanted="two datasets of different names whose answers name the same results",
                remedy="pass second.name=…, or choose another second dataset",
            )
        return dataset

    def samples(self, first: Any, second: Any, split: str) -> tuple[Sample, ...]:
        """The samples of a split, those of the second dataset behind those of the first."""
        return (*first.samples(split), *(second.samples(split) if second is not None else ()))

    def read(self) -> Data:
        """Dataset → drift stream → counterfactuals → preference pairs, for training and for judging."""
        dataset = self.dataset()
        second = self.second(dataset)
        for split in ("train", self.cfg.held_out):
            dataset.check_references(split)
        training = self.samples(dataset, second, "train")
        for_sft, for_preference = self._shared_out(training)
        length = None if self.cfg.length == -1 else self.cfg.length
        sft = self._stream(for_sft, self.seed, None, dataset.answers) if for_sft else None
        stream = self._stream(for_preference, self.seed + 1, length, dataset.answers)
        made = self.method.make(stream.samples, seed=self.seed)
        pairs = self.pairing.make(stream, made)
        return Data(
            dataset=dataset,
            sft=sft,
            stream=stream,
            pairs=pairs,
            counterfactuals={**made.stats, "rejected": dict(made.rejected), "dropped": dict(pairs.dropped)},
            held_out=self._held_out(dataset, second),
        )

    def _shared_out(self, training: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """Training samples of the SFT stage and of the preference stage, no patient in both unless both see all."""
        if self.share == 0:
            return (), training
        if self.share == 1:
            return training, training
        for_sft, for_preference = split_groups(training, self.share, self.seed)
        return for_sft, for_preference

    def _stream(self, samples: Sequence[Sample], seed: int, length: int | None, answers: AnswerFormat) -> Stream:
        return make_stream(samples, self.schedule, self.shifts, seed, length, answers)

    def _held_out(self, dataset: Any, second: Any) -> HeldOut:
        samples = self.samples(dataset, second, self.cfg.held_out)
        variants: dict[str, list[tuple[str, Sample]]] = {sample.id: [] for sample in samples}
        for concept in concepts_of(self.shifts) if self.shifts else ():
            shown = concept_samples(samples, self.shifts, concept.index, self.seed, answers=dataset.answers)
            for sample in shown.samples:
                variants[sample.id].append((concept.name, sample))
        judged, concepts = interleaved(samples, variants)
        everything = Stream(samples, DriftTruth(concepts_of({}), (0,) * len(samples)))
        pairs = self.pairing.make(everything, self.method.make(samples, seed=self.seed))
        return HeldOut(judged, concepts, pairs, dataset.answers, dataset.scored)


def interleaved(
    samples: Sequence[Sample], variants: Mapping[str, Sequence[tuple[str, Sample]]]
) -> tuple[tuple[Sample, ...], dict[str, list[int]]]:
    """Held-out samples, each followed by what the concepts make of it, and the places of each concept.

    A sample that a concept leaves as it is stands once, in that concept and among all.

    Args:
        samples: As the dataset has them.
        variants: For each sample's id the concepts that hold it, and what it is there.

    Returns:
        The samples to judge, and by concept their places: `all` holds those of `samples`, if others stand between.
    """
    judged: list[Sample] = []
    everything: list[int] = []
    concepts: dict[str, list[int]] = {name: [] for held in variants.values() for name, _ in held}
    for sample in samples:
        places = [(sample, len(judged))]
        everything.append(len(judged))
        judged.append(sample)
        for name, variant in variants[sample.id]:
            place = next((at for known, at in places if known == variant), None)
            if place is None:
                place = len(judged)
                places.append((variant, place))
                judged.append(variant)
            concepts[name].append(place)
    return tuple(judged), ({"all": everything} if len(judged) > len(samples) else {}) | concepts
