"""Free text read: terms, several mentions in a sentence, negation, doubt; and answers of a language model."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("negspacy", reason="the lexicon extractor needs negspacy")

from cpo.errors import DataError
from cpo.graph.extraction import LexiconExtractor
from cpo.graph.extraction_llm import LLMExtractor
from cpo.graph.lexicon import SEVERITIES, SIDES, Lexicon, Mention
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState

PRESENT, ABSENT, UNCERTAIN = LabelState.PRESENT, LabelState.ABSENT, LabelState.UNCERTAIN
CHEST = ConceptGraph.load("chest")
REPORTS = Path(__file__).parents[3].parent / "shared/samples/openi_iuxray/ecgen-radiology"


@pytest.fixture(scope="module")
def extractor() -> LexiconExtractor:
    return LexiconExtractor(CHEST)


@pytest.mark.parametrize("name", ["chest", "driving"])
def test_every_sentence_of_a_shipped_graph_is_read_as_it_was_written(name: str) -> None:
    lexicon = Lexicon(ConceptGraph.load(name))
    extractor = LexiconExtractor(lexicon.graph)
    for attribute, state in product(lexicon.graph.attributes.values(), (PRESENT, ABSENT, UNCERTAIN)):
        for wording, side, grade in product(range(lexicon.choices(attribute.name, state)), SIDES, SEVERITIES):
            sentence = lexicon.write(attribute.name, state, side, grade, wording)
            assert extractor.mentions(sentence) == lexicon.mentions(sentence)


@pytest.mark.parametrize(
    ("text", "attributes", "diseases"),
    [
        (
            "No effusion or pneumothorax.",
            {"apical pleural line": ABSENT},
            {"Pleural Effusion": ABSENT, "Pneumothorax": ABSENT},
        ),
        (
            "Cardiomegaly is again seen, with mild pulmonary vascular congestion but no effusion.",
            {"vascular congestion": PRESENT},
            {"Cardiomegaly": PRESENT, "Pleural Effusion": ABSENT},
        ),
        ("Cannot exclude a small left pleural effusion.", {}, {"Pleural Effusion": UNCERTAIN}),
        ("Atelectasis versus pneumonia.", {}, {"Atelectasis": UNCERTAIN, "Pneumonia": UNCERTAIN}),
        ("Heart size normal.", {"enlarged heart": ABSENT}, {}),
        ("The heart size is not normal.", {}, {}),
        ("The cardiac silhouette is enlarged.", {"enlarged heart": PRESENT}, {}),
        (
            "No pneumothorax and the heart is mildly enlarged.",
            {"apical pleural line": ABSENT, "enlarged heart": PRESENT},
            {"Pneumothorax": ABSENT},
        ),
        ("A pneumothorax is seen.", {}, {"Pneumothorax": PRESENT}),
        ("No change in the right pleural effusion.", {}, {"Pleural Effusion": PRESENT}),
        ("Nodules in both lungs; there is no mass.", {"nodule": PRESENT, "mass": ABSENT}, {}),
        ("The patient is rotated.", {}, {}),
        ("", {}, {}),
    ],
)
def test_free_text_is_read_as_a_radiologist_means_it(
    extractor: LexiconExtractor, text: str, attributes: dict[str, LabelState], diseases: dict[str, LabelState]
) -> None:
    reading = extractor.read(text)

    assert reading.attributes == attributes
    assert reading.diseases == diseases


def test_side_and_grade_are_those_nearest_to_the_mention(extractor: LexiconExtractor) -> None:
    told = extractor.mentions("Severe volume loss of the left lung and mild pleural thickening on the right.")

    assert told == (
        Mention("volume loss", PRESENT, "left", "severe"),
        Mention("pleural thickening", PRESENT, "right", "mild"),
    )


def test_of_several_mentions_the_strongest_counts(extractor: LexiconExtractor) -> None:
    assert extractor.read("Possible nodule. There is a nodule. No nodule is seen.").attributes == {"nodule": PRESENT}


def test_any_text_can_be_read(extractor: LexiconExtractor) -> None:
    draw = random.Random(0)
    alphabet = [*"., ;\n\t{}<ä肺", "no", "effusion", "possible", "nodule", "heart", "is", "not", "enlarged", "left"]
    for _ in range(200):
        extractor.read(" ".join(draw.choices(alphabet, k=draw.randrange(30))))
    assert extractor.failures == {} == extractor.ignored


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the excerpt of Open-I is not at ../shared/samples/openi_iuxray")
def test_real_reports_mention_what_reports_usually_deny(extractor: LexiconExtractor) -> None:
    trees = [ElementTree.parse(file) for file in sorted(REPORTS.glob("*.xml"))]
    texts = [" ".join(part.text or "" for part in tree.iter("AbstractText")) for tree in trees]
    readings = [extractor.read(text) for text in texts]

    assert sum(bool(reading.attributes or reading.diseases) for reading in readings) > 0.75 * len(readings)
    for disease in ("Pleural Effusion", "Pneumothorax"):
        said = [reading.diseases[disease] for reading in readings if disease in reading.diseases]
        assert len(said) > 0.5 * len(readings)
        assert said.count(ABSENT) > 0.8 * len(said)


def test_a_term_that_stands_for_two_attributes_is_refused() -> None:
    with pytest.raises(DataError, match="'round thing' stands for 'nodule' and for 'mass'"):
        LexiconExtractor(replace(CHEST, terms={"nodule": ("round thing",), "mass": ("a round thing",)}))


def answering(answer: object) -> Callable[[str], str]:
    return lambda prompt: answer if isinstance(answer, str) else json.dumps(answer)


def test_a_language_model_is_asked_with_diseases_categories_and_the_report() -> None:
    prompt = LLMExtractor(answering(""), CHEST.diseases).prompt(" Kerley {lines}. ")

    assert "Pleural Effusion" in prompt
    assert "density anomaly" in prompt
    assert prompt.rstrip().endswith("Kerley {lines}.")


def test_its_answer_becomes_states_and_its_features_attributes_with_words() -> None:
    answer = {
        "diseases": ["edema", "Measles"],
        "features": [
            {"name": " Kerley  Lines ", "category": "density anomaly"},
            {"name": "spots", "category": "colour"},
            {"name": "{side} mass", "category": "density anomaly"},
            "spots",
        ],
    }
    extractor = LLMExtractor(answering(f"Here it is:\n```json\n{json.dumps(answer)}\n```"), CHEST.diseases)
    reading = extractor.read("Kerley lines.")

    assert reading is not None
    assert reading.diseases == {"Edema": PRESENT}
    assert reading.attributes == {"kerley lines": PRESENT}
    assert extractor.attributes["kerley lines"].wordings_absent == ("There is no kerley lines.",)
    assert extractor.ignored == {
        "disease of another name": 1,
        "feature of another category": 2,
        "feature without a plain name": 1,
    }
    assert extractor.failures == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I cannot read this.", "no JSON object"),
        ('{"diseases": ["Edema"', "broken JSON"),
        ('{"diseases": []}', "not the agreed form"),
        ('{"diseases": "Edema", "features": []}', "not the agreed form"),
    ],
)
def test_an_answer_that_cannot_be_used_is_counted_by_reason(answer: str, reason: str) -> None:
    extractor = LLMExtractor(answering(answer), CHEST.diseases)

    assert extractor.read("Clear.") is None
    assert extractor.failures == {reason: 1}
