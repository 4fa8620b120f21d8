"""Reports: the reader inverts the writer."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cpo.graph.lexicon import SEVERITIES, SIDES, Lexicon, Mention
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState
from cpo.world.chest import words
from cpo.world.chest.causes import DEVICE_NAMES, SITES, draw_causes, draw_nuisances
from cpo.world.chest.reading import Reader, read
from cpo.world.chest.report import Report, write_report
from cpo.world.chest.truth import Causes, Nuisances

GRAPH = ConceptGraph.load("chest")
LEXICON = Lexicon(GRAPH)
Written = tuple[Causes, Nuisances, Report]


@pytest.fixture(scope="module")
def reports() -> list[Written]:
    written = []
    for index in range(800):
        rng = np.random.default_rng([12, index])
        causes = draw_causes(rng, GRAPH, uncertain_share=0.15, severities=(0.3, 0.4, 0.3))
        nuisances = draw_nuisances(rng, ap_share=0.5, device_share=0.4)
        written.append((causes, nuisances, write_report(rng, LEXICON, causes, nuisances, "F")))
    return written


def findings_of(report: Report) -> str:
    return report.text.split(" FINDINGS: ")[1].split(" IMPRESSION: ")[0]


def test_every_report_is_read_back_exactly(reports: list[Written]) -> None:
    for causes, nuisances, report in reports:
        reading = read(report.text)
        denied = {Mention(name, LabelState.ABSENT) for name in report.negated}
        assert set(reading.mentions) == set(causes.findings) | denied
        assert len(reading.mentions) == len(causes.findings) + len(denied)
        assert reading.devices == nuisances.devices
        assert reading.opening == (nuisances.site, nuisances.view)
        assert reading.impression == dict(causes.diseases)
        assert not reading.unread
        assert not reading.contradictions


def test_findings_without_headers_are_read_alike(reports: list[Written]) -> None:
    for _, _, report in reports[:50]:
        alone = " ".join(findings_of(report).split())
        assert read(alone).mentions == read(report.text).mentions


def test_the_lexicon_reads_the_same_mentions(reports: list[Written]) -> None:
    for _, _, report in reports[:200]:
        sentences = LEXICON.split_sentences(findings_of(report))
        assert tuple(m for s in sentences for m in LEXICON.mentions(s)) == read(report.text).mentions


def test_no_sentence_of_the_world_has_two_meanings() -> None:
    reader = Reader(GRAPH)
    spelled = {
        LEXICON.write(name, state, side, severity, wording)
        for name in GRAPH.attributes
        for state in (LabelState.PRESENT, LabelState.ABSENT, LabelState.UNCERTAIN)
        for wording in range(LEXICON.choices(name, state))
        for side in SIDES
        for severity in SEVERITIES
    }
    other = {s for pair in (*words.PHRASES.values(), *words.DEVICES.values()) for s in pair}

    assert len(spelled) > 700
    assert all(len(reader.meanings(sentence)) == 1 for sentence in spelled)
    assert not any(reader.meanings(sentence) for sentence in other)
    assert len(other) == 2 * (len(words.PHRASES) + len(words.DEVICES))


def test_a_report_has_the_form_of_the_official_ones(reports: list[Written]) -> None:
    for _, _, report in reports:
        lines = report.text.split("\n")
        assert lines[0].strip() == "FINAL REPORT"
        assert lines[-1] == ""
        assert all(line.startswith(" ") and len(line) <= 79 for line in lines[:-1])
        headers = re.findall(r"\n ([A-Z ()/,-]+):\s", report.text)
        assert headers == ["EXAMINATION", "INDICATION", "FINDINGS", "IMPRESSION"]


def test_findings_have_the_length_of_a_short_report(reports: list[Written]) -> None:
    lengths = np.array([len(findings_of(report).split()) for _, _, report in reports])

    assert 48 <= np.median(lengths) <= 60
    assert (lengths >= 20).all()
    assert (lengths <= 90).mean() > 0.98


def test_findings_come_in_the_same_order_in_every_report(reports: list[Written]) -> None:
    for _, nuisances, report in reports:
        places = (
            ("lungs", "pleura", "heart", "bones") if nuisances.lungs_first else ("heart", "lungs", "pleura", "bones")
        )
        order = [name for place in places for name in words.PLACES[place]]
        mentioned = [order.index(mention.attribute) for mention in read(report.text).mentions]
        assert mentioned == sorted(mentioned)


def test_the_routine_is_denied_in_four_reports_of_five_and_little_else(reports: list[Written]) -> None:
    for routine, low, high in ((True, 0.76, 0.84), (False, 0.003, 0.03)):
        denied = [
            name in report.negated
            for causes, _, report in reports
            for name in GRAPH.attributes
            if (name in words.COMMONLY_NEGATED) is routine
            and name not in {f.attribute for f in causes.findings}
            and not any(name in GRAPH.attributes_of(disease) for disease in causes.diseases)
        ]
        assert low < np.mean(denied) < high


def test_nothing_is_denied_that_a_present_disease_causes(reports: list[Written]) -> None:
    for causes, _, report in reports:
        assert report.negated
        assert not {a for d in causes.diseases for a in GRAPH.attributes_of(d)} & set(report.negated)
        assert not {f.attribute for f in causes.findings} & set(report.negated)


def test_an_ill_report_is_longer_by_its_findings_not_by_its_denials(reports: list[Written]) -> None:
    healthy = [len(r.negated) for c, _, r in reports if not c.diseases]
    ill = [len(r.negated) for c, _, r in reports if len(c.diseases) == 1]

    assert np.mean(healthy) - 2 < np.mean(ill) < np.mean(healthy)


def test_sides_and_order_do_not_follow_the_diseases_alone(reports: list[Written]) -> None:
    first_place = [
        next(place for place, names in words.PLACES.items() if read(r.text).mentions[0].attribute in names)
        for _, n, r in reports
        if n.lungs_first
    ]

    assert first_place.count("lungs") > 0.8 * len(first_place)


def test_the_tables_of_words_are_complete() -> None:
    placed = [name for names in words.PLACES.values() for name in names]

    assert sorted(placed) == sorted(GRAPH.attributes)
    assert set(words.IMPRESSIONS) == set(GRAPH.diseases)
    assert set(words.DEVICES) == set(DEVICE_NAMES)
    assert set(words.PHRASES) == set(words.PROCEDURES) == {(site, view) for site in SITES for view in ("AP", "PA")}
    assert len(set(words.PROCEDURES.values())) == len(words.PROCEDURES)
    assert set(words.COMMONLY_NEGATED) <= set(GRAPH.attributes)


def test_a_contradiction_and_a_foreign_sentence_are_noticed() -> None:
    reading = read("There is no lung nodule. There is a round nodule in the left lung. The patient likes tea.")

    assert reading.contradictions == ("nodule",)
    assert reading.states == {"nodule": LabelState.PRESENT}
    assert reading.unread == ("The patient likes tea.",)
    assert reading.opening is None
