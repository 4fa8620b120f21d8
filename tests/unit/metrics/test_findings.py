from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from cpo.answers import ListedAnswer, Malformed
from cpo.errors import ConfigError, DataError, ShapeError
from cpo.metrics.findings import FindingScores, score_findings

RESULTS = ("Atelectasis", "Edema", "Pneumonia", "No Finding")
DISEASES = RESULTS[:3]


def completion(names: list[str]) -> str:
    return f"<think> Some findings. </think> The disease of this patient is {', '.join(names)}."


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 3)) < [0.4, 0.2, 0.05]
    return truth, truth ^ (rng.random((n, 3)) < 0.2)


def texts(said: np.ndarray) -> list[str]:
    return [completion([d for d, s in zip(DISEASES, row, strict=True) if s] or ["No Finding"]) for row in said]


def names(rows: np.ndarray) -> list[list[str]]:
    return [[d for d, s in zip(DISEASES, row, strict=True) if s] for row in rows]


def read(completions: list[str]) -> list[frozenset[str] | Malformed]:
    answers = ListedAnswer("The disease of this patient is {}.", RESULTS)
    return [answers.read_completion(text) for text in completions]


def judged(predictions: list[str], truth: list[list[str]], **knobs: int) -> FindingScores:
    return score_findings(
        read(predictions),
        truth,
        range(len(truth)),
        results=RESULTS,
        diseases=DISEASES,
        seed=0,
        **{"resamples": 50, **knobs},
    )


def test_readable_answers_are_scored_as_scikit_learn_does() -> None:
    truth, said = draw(400, seed=1)
    scores = judged(texts(said), names(truth), min_positives=5)
    expected = [balanced_accuracy_score(truth[:, d], said[:, d]) for d in range(3)]
    assert [s.balanced_accuracy.value for s in scores.diseases.values()] == pytest.approx(expected)
    assert scores.balanced_accuracy.value == pytest.approx(np.mean(expected))
    assert scores.accuracy.value == pytest.approx((truth == said).mean())
    assert sum(scores.malformed.values()) == 0


def test_readable_answers_are_scored_as_torchmetrics_does() -> None:
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.classification import multilabel_recall, multilabel_specificity

    truth, said = draw(400, seed=2)
    scores = judged(texts(said), names(truth), min_positives=5)
    pair = torch.tensor(said.astype(int)), torch.tensor(truth.astype(int))
    mean = (multilabel_recall(*pair, num_labels=3) + multilabel_specificity(*pair, num_labels=3)) / 2
    assert scores.balanced_accuracy.value == pytest.approx(mean.item(), abs=1e-6)


def test_a_malformed_answer_is_wrong_about_every_disease_and_counted() -> None:
    truth = [["Edema"], ["Edema"], [], []]
    predictions = [completion(["Edema"]), "Edema", completion(["No Finding"]), completion(["Gout"])]
    scores = judged(predictions, truth, min_positives=2)
    # one of two patients with edema is found, one of two without is left in peace
    assert scores.diseases["Edema"].balanced_accuracy.value == 0.5
    assert scores.diseases["Edema"].accuracy.value == 0.5
    assert scores.malformed == {"tags": 1, "sentence": 0, "names": 1}
    assert scores.as_dict()["malformed"] == {"count": 2, "answers": 4, "tags": 1, "sentence": 0, "names": 1}


def test_falling_silent_never_pays() -> None:
    truth, said = draw(300, seed=3)
    honest = judged(texts(said), names(truth), min_positives=5)
    silent = judged(["", *texts(said)[1:]], names(truth), min_positives=5)
    assert silent.accuracy.value < honest.accuracy.value


def test_a_disease_with_too_few_positives_or_negatives_is_named_and_left_out() -> None:
    truth = [["Atelectasis", "Edema"]] * 3 + [["Atelectasis"]] * 3
    scores = judged([completion(["Edema"])] * 6, truth, min_positives=2)
    assert list(scores.diseases) == ["Edema"]
    assert scores.left_out == {"Atelectasis": 6, "Pneumonia": 0}
    assert scores.balanced_accuracy.value == 0.5


def test_without_any_scored_disease_the_average_is_undefined() -> None:
    scores = judged([completion(["No Finding"])], [[]])
    assert np.isnan(scores.balanced_accuracy.value)
    assert scores.diseases == {}
    assert scores.left_out == {"Atelectasis": 0, "Edema": 0, "Pneumonia": 0}


def test_the_interval_is_clustered_by_patient() -> None:
    truth, said = draw(40, seed=4)
    predictions, true = read(texts(said)) * 5, names(truth) * 5
    knobs = {"results": RESULTS, "diseases": DISEASES, "min_positives": 5, "seed": 0}
    by_patient = score_findings(predictions, true, list(range(40)) * 5, **knobs)
    by_study = score_findings(predictions, true, range(200), **knobs)
    width = [s.accuracy.high - s.accuracy.low for s in (by_patient, by_study)]
    assert width[0] > 1.7 * width[1]
    assert by_patient.accuracy.clusters == 40


def test_the_summary_is_plain_json() -> None:
    scores = judged([completion(["Edema"])], [["Edema"]])
    assert json.loads(json.dumps(scores.as_dict(), allow_nan=False))["balanced_accuracy"]["value"] is None


def test_mistakes_are_refused() -> None:
    with pytest.raises(ShapeError, match="2 predictions, 1 truths"):
        judged(["a", "b"], [[]])
    with pytest.raises(DataError, match="Gout"):
        judged(["a"], [["Gout"]])
    with pytest.raises(ConfigError, match="min_positives=0"):
        judged(["a"], [[]], min_positives=0)
