from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from cpo.report.headline import arms, concepts, measures_of, number, shown
from cpo.report.sections import headline_table
from cpo.report.terminal import eval_table

EVALUATION: dict[str, Any] = {
    "before": {
        "all": {"balanced_accuracy": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 40, "clusters": 31}, "margin": -0.5}
    },
    "after": {
        "tied": {"balanced_accuracy": {"value": None, "low": None, "high": None}},
        "all": {
            "balanced_accuracy": {"value": 0.85, "low": 0.75, "high": 0.95},
            "malformed": {"count": 2, "answers": 40},
        },
    },
}


def text(summary: dict[str, Any], width: int = 140) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(eval_table(summary))
    return console.export_text()


def test_all_comes_first_then_the_concepts_as_they_were_judged() -> None:
    assert concepts(EVALUATION) == ["all", "tied"]
    assert concepts({"after": {"tied": {}, "untied": {}}}) == ["tied", "untied"]


def test_the_arm_of_random_negatives_is_not_called_counterfactual() -> None:
    assert "Counterfactual" not in arms({"counterfactual": "random"})["after"]
    assert arms({"counterfactual": "llm_expert"})["after"] == "Counterfactual preference optimization"


def test_undefined_and_unmeasured_values_are_dashes() -> None:
    assert shown({"value": None, "low": None, "high": None}) == ("–", "")
    assert shown({"value": 0.5, "low": None, "high": None}) == ("0.500", "")
    assert number(-1.0) == "−1.000"


def test_measures_that_no_arm_has_are_told_apart() -> None:
    there, absent = measures_of(EVALUATION)
    assert [m.key for m in there] == ["balanced_accuracy", "margin", "malformed"]
    assert "pair_accuracy" in [m.key for m in absent]


def test_the_page_names_what_was_not_measured_and_leaves_empty_rows_out() -> None:
    table = headline_table(EVALUATION, arms({}))
    assert table.columns == ["", "SFT", "Counterfactual preference optimization"]
    assert [row.label for row in table.rows] == [
        "All held-out samples",
        "Balanced accuracy",
        "Margin, nats",
        "Malformed answers",
        "Concept “tied”",
    ]
    assert [cell.text for cell in table.rows[1].cells] == ["0.800", "0.850"]
    assert [cell.text for cell in table.rows[0].cells] == ["40 samples of 31 patients"]
    assert "Not measured in this run: shuffled_balanced_accuracy" in table.note


def test_the_terminal_shows_the_same_numbers_and_names_the_missing_arm() -> None:
    shown_text = text({"eval": EVALUATION, "choices": {"counterfactual": "random"}})
    assert "0.800 [0.700, 0.900]" in shown_text
    assert "0.850 [0.750, 0.950]" in shown_text
    assert "2 of 40" in shown_text
    assert "Not in this run: SFT continued (control)." in shown_text
    assert "random negatives" in shown_text


def test_the_terminal_table_of_an_unjudged_run_says_so() -> None:
    assert "This run was not judged." in text({})


def test_the_terminal_table_is_readable_at_eighty_columns() -> None:
    lines = text({"eval": EVALUATION}, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("Balanced accuracy" in line and "0.800 [0.700, 0.900]" in line for line in lines)


JUDGED: dict[str, Any] = {
    "eval": {
        "after": {
            "all": {
                "driving_suggestion": {
                    "value": 6.5, "low": 6.0, "high": 7.0,
                    "judge": "m-1", "prompt": "0af3", "unparsed": 2, "answers": 50,
                },
                "driving_suggestion_unparsed": {"count": 2, "answers": 50, "no reply": 2},
                "accuracy": {"value": 0.5},
                "questions": {"asked": 3},
                "margin_q10": {"value": -1.0},
            },
            "tied": {"margin_q10": {"value": -2.0}, "bleu_4": {"value": 0.25}},
        }
    },
    "benchmarks": {"coda_lm": ["driving_suggestion", "driving_suggestion_unparsed"], "report_generation": ["bleu_4"]},
}  # fmt: skip


def test_whatever_benchmarks_report_is_shown_benchmark_by_benchmark() -> None:
    lines = [line.strip() for line in text(JUDGED).splitlines()]
    places = [next(n for n, line in enumerate(lines) if line.startswith(label)) for label in (
        "All held-out samples", "coda_lm", "Driving suggestion", "Accuracy", "Concept “tied”",
        "report_generation", "Bleu 4",
    )]  # fmt: skip
    assert places == sorted(places)
    assert not any("uestions" in line or "unparsed of" in line for line in lines), "what is no measure is no row"
    assert sum("a tenth below" in line for line in lines) == 1, "a detail stands once"


def test_a_judges_score_is_shown_with_judge_prompt_and_unparsed_count_wherever_it_stands() -> None:
    table = headline_table(JUDGED["eval"], arms({}), JUDGED["benchmarks"])
    (cell,) = next(row.cells for row in table.rows if row.label == "Driving suggestion")
    for said in ("by m-1", "prompt 0af3", "2 of 50 unparsed"):
        assert said in cell.detail
        assert said in " ".join(text(JUDGED).split())
    assert "Driving suggestion: by m-1, prompt 0af3." in text(JUDGED)


def test_common_measures_are_not_missed_where_others_were_measured() -> None:
    there, absent = measures_of({"after": {"all": {"auroc": {"value": 0.8}}}})
    assert [m.label for m in there] == ["Auroc"]
    assert absent == []
