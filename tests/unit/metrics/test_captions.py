from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

from cpo.errors import ConfigError, DataError, ShapeError
from cpo.metrics import captions
from cpo.metrics.captions import METRICS, repetition, score_captions

pytest.importorskip("pycocoevalcap", reason="needs the extra `captions`")
JAVA = pytest.mark.skipif(shutil.which("java") is None, reason="needs a Java runtime")
WORDS = [
    "the",
    "heart",
    "is",
    "enlarged",
    "lungs",
    "are",
    "clear",
    "no",
    "pleural",
    "effusion",
    "mild",
    "edema",
    "seen",
]


def corpus(n: int = 25) -> tuple[list[str], list[list[str]]]:
    rng = np.random.default_rng(0)
    references = [" ".join(rng.choice(WORDS, size=rng.integers(6, 20))) + "." for _ in range(n)]
    predictions = [
        " ".join(word for word in text.split() if rng.random() < 0.8) + " Edema\nis seen, too!" for text in references
    ]
    predictions[3] = ""
    return predictions, [[text, f"{text} Clear lungs."] for text in references]


@JAVA
def test_every_value_is_the_librarys_own_on_the_same_strings(capsys: pytest.CaptureFixture[str]) -> None:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    predictions, references = corpus()
    found = score_captions(predictions, references, [n // 2 for n in range(25)], resamples=50, seed=0).intervals
    assert capsys.readouterr().out == ""

    def tokenised(texts: list[list[str]]) -> Any:
        rows = {n: [{"caption": text.replace("\n", " ")} for text in some] for n, some in enumerate(texts)}
        return PTBTokenizer().tokenize(rows)

    truth, said = tokenised(references), tokenised([[text] for text in predictions])
    bleu, _ = Bleu(4).compute_score(truth, said, verbose=0)
    assert [found[f"bleu_{n}"].value for n in range(1, 5)] == pytest.approx(bleu, rel=1e-9)
    assert found["rouge_l"].value == pytest.approx(Rouge().compute_score(truth, said)[0])
    assert found["cider"].value == pytest.approx(Cider().compute_score(truth, said)[0])
    assert 0 < found["meteor"].value < 1
    assert set(found) == set(METRICS)
    assert all(interval.low <= interval.value <= interval.high for interval in found.values())
    assert found["bleu_4"].clusters == 13


@JAVA
def test_equal_texts_score_as_high_as_can_be_and_silence_scores_nothing() -> None:
    _, references = corpus(8)
    perfect = score_captions([texts[0] for texts in references], references, range(8), resamples=10, seed=0).intervals
    silent = score_captions([""] * 8, references, range(8), resamples=10, seed=0).intervals
    assert perfect["bleu_4"].value == pytest.approx(1, abs=1e-6)
    assert perfect["rouge_l"].value == pytest.approx(1)
    assert [silent[name].value for name in ("rouge_l", "cider", "meteor")] == [0, 0, 0]


def test_repetition_is_the_share_of_what_was_said_before() -> None:
    assert repetition("a b c d e f") == 0
    assert repetition("a b c d a b c d a b c d") == pytest.approx(1 - 4 / 9)
    assert repetition("") == 0


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 items without a reference"):
        score_captions(["a", "b"], [["a"], [" "]], [0, 1], seed=0)
    with pytest.raises(ShapeError, match="1 predictions"):
        score_captions(["a"], [["a"], ["b"]], [0, 1], seed=0)


def test_without_java_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captions.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="Java runtime"):
        score_captions(["a"], [["a"]], [0], seed=0)
