"""From dataset to preference pairs: the torch-free half of a run, put together from its config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from cpo import config
from cpo.answers import AnswerFormat
from cpo.counterfactual.base import CounterfactualMethod, CounterfactualSet
from cpo.counterfactual.store import CounterfactualStore, set_key
from cpo.dataset.split import split_groups
from cpo.drift.stream import concept_samples, concepts_of, make_stream
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import HeldOut
from cpo.preference.pairing import PairSet
from cpo.records import Access, DriftTruth, Sample, Stream


@dataclass(frozen=True)
class Data:
    """Everything a run reads, from dataset to pairs.

    Args:
        dataset: The reader.
        sft: Stream of the SFT stage; None without one.
        stream: Stream of the preference stage.
        pairs: Its preference pairs, in its order; none yet where their counterfactuals wait for a policy.
        counterfactuals: How their making went.
        held_out: What the run is judged on.
        judged: The reader of that; the dataset itself unless another one is judged.
    """

    dataset: Any
    sft: Stream | None
    stream: Stream
    pairs: PairSet
    counterfactuals: Mapping[str, Any]
    held_out: HeldOut
    judged: Any


class DataPlan:
    """What a run reads and makes of it, as objects.

    Args:
        cfg: The composed root config.
        share: Share of the training patients that the SFT stage trains on.
        pairs_judged: Whether a benchmark judges pairs; without, none are made of another dataset than the run's.
    """

    def __init__(self, cfg: DictConfig, *, share: float, pairs_judged: bool = True) -> None:
        self.cfg, self.share, self.pairs_judged, self.seed = cfg, share, pairs_judged, int(cfg.seed)
        self.schedule = config.build(cfg.drift)
        self.shifts = config.build_all(cfg.shift)
        self.method: CounterfactualMethod = config.build(cfg.counterfactual)
        self.pairing = config.build(cfg.pairing)
        self.store = CounterfactualStore(Path(cfg.paths.cache).absolute() / "counterfactuals")

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

    def judged(self, first: Any) -> Any:
        """The reader of the dataset whose held-out split is judged: the first, or the one of `dataset@judged`."""
        return first if self.cfg.get("judged") is None else config.build_dataset(self.cfg.judged)

    def for_judging(self) -> tuple[Any, HeldOut]:
        """The dataset and its held-out part alone, for a policy that is not trained here.

        Raises:
            PrivacyError: Counterfactuals would be asked of an endpoint to which the data may not go.
        """
        self.refuse_unless_allowed()
        dataset = self.dataset()
        dataset.check_references(self.cfg.held_out)
        held_out = self._held_out(dataset, self.second(dataset))
        return dataset, self._with_pairs(dataset, held_out) if self.pairs_judged else held_out

    def samples(self, first: Any, second: Any, split: str) -> tuple[Sample, ...]:
        """The samples of a split, those of the second dataset behind those of the first.

        Raises:
            DataError: There are none.
        """
        found = (*first.samples(split), *(second.samples(split) if second is not None else ()))
        if not found:
            there = ", ".join(f"{n:,} {name}" for name, n in first.quality().by_split.items() if n)
            raise DataError(
                got=f"no sample in the split {split} of {first.name}, which has {there or 'none at all'}",
                wanted="samples to train on in train, and to judge in held_out",
                remedy="pass held_out=test or held_out=validate; a release without training samples can only be "
                "judged: python evaluate.py",
            )
        return found

    def read(self, *, may_wait: bool = False) -> Data:
        """Dataset → drift stream → counterfactuals → preference pairs, for training and for judging.

        Args:
            may_wait: Leave counterfactuals that are asked of a policy to `paired`.

        Raises:
            ConfigError: They are asked of a policy, and may not wait.
            PrivacyError: They would be asked of an endpoint to which the data may not go; no dataset was opened.
        """
        self.refuse_unless_allowed()
        if self.method.needs and not may_wait:
            raise ConfigError(
                got=f"counterfactual={self.method.name}, which asks the SFT policy, and no policy",
                wanted="a counterfactual that needs none, or a run",
                remedy="run it in train.py, which leaves pairs_sample.jsonl",
            )
        dataset = self.dataset()
        second, judged = self.second(dataset), self.judged(dataset)
        dataset.check_references("train")
        judged.check_references(self.cfg.held_out)
        training = self.samples(dataset, second, "train")
        for_sft, for_preference = self._shared_out(training)
        length = None if self.cfg.length == -1 else self.cfg.length
        sft = self._stream(for_sft, self.seed, None, dataset.answers) if for_sft else None
        stream = self._stream(for_preference, self.seed + 1, length, dataset.answers)
        held_out = self._held_out(judged, second if judged is dataset else None)
        data = Data(dataset, sft, stream, PairSet((), {}), {}, held_out, judged)
        return data if self.method.needs else self.paired(data)

    def refuse_unless_allowed(self) -> None:
        """Refuses data that would be sent where it may not go, before a dataset is opened.

        Raises:
            PrivacyError: Naming the rule.
        """
        nodes = (self.cfg.dataset, self.cfg.get("second"), self.cfg.get("judged"))
        for node in (node for node in nodes if node is not None):
            access: Access = "open" if node.get("access") == "open" else "credentialed"
            self.method.refuse_unless_allowed(access, acknowledged=self.cfg.privacy == "acknowledged")

    def paired(self, data: Data, policy: Callable[[], Any] | None = None, identity: str = "") -> Data:
        """The same with counterfactuals and preference pairs.

        Args:
            data: As read.
            policy: Gives the policy that the method asks, if it asks one; called only if a set is not in the cache.
            identity: Tells the policy's weights from others.
        """
        made, reused = self.counterfactuals(data.dataset, data.stream.samples, policy, identity)
        pairs = self.pairing.for_training(data.stream, made)
        return replace(
            data,
            pairs=pairs,
            counterfactuals={
                **made.stats,
                "reused": reused,
                "rejected": dict(made.rejected),
                "dropped": dict(pairs.dropped),
                **({"balance": dict(pairs.balance)} if pairs.balance else {}),
            },
            held_out=self._with_pairs(data.judged, data.held_out, policy, identity)
            if self.pairs_judged or data.judged is data.dataset
            else data.held_out,
        )

    def _with_pairs(
        self, dataset: Any, held_out: HeldOut, policy: Callable[[], Any] | None = None, identity: str = ""
    ) -> HeldOut:
        """The same with preference pairs of its samples as they are; see `paired`."""
        places = held_out.concepts.get("all", range(len(held_out.samples)))
        untouched = tuple(held_out.samples[place] for place in places)
        everything = Stream(untouched, DriftTruth(concepts_of({}), (0,) * len(untouched)))
        made, _ = self.counterfactuals(dataset, untouched, policy, identity)
        return replace(held_out, pairs=self.pairing.make(everything, made))

    def counterfactuals(
        self, dataset: Any, samples: Sequence[Sample], policy: Callable[[], Any] | None = None, identity: str = ""
    ) -> tuple[CounterfactualSet, bool]:
        """The counterfactuals of samples, and whether an earlier job had made them; see `paired`."""

        def make() -> CounterfactualSet:
            self.method.read_by(dataset.answers)
            if self.method.needs and policy is not None:
                self.method.use(policy(), identity=identity)
            return self.method.make(samples, seed=self.seed)

        key = set_key(
            self.method,
            config.resolved(self.cfg.counterfactual),
            samples,
            seed=self.seed,
            data=dataset.fingerprint,
            policy=identity if self.method.needs else "",
        )
        return self.store.obtain(self.method.name, key, make)

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
        return HeldOut(judged, concepts, PairSet((), {}), dataset.answers, dataset.scored)


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
