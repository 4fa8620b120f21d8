"""What a language model is told: the findings, what the concept graph knows of both results, and how to reply."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cpo.counterfactual.llm.exchange import ReplyFormat
from cpo.counterfactual.planning import Plan
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import Sample

SYSTEM = (
    "You are an expert who rewrites findings. Findings describe what a picture shows, sentence by sentence, and argue "
    "for a result. You are given findings, a result that they argue for, another result, and what is known of both. "
    "You write the findings as they would read had the picture shown the other result: plausible, in the same style, "
    "and different in nothing that the change of result does not call for."
)

_REPLY: dict[ReplyFormat, str] = {
    "json_schema": 'Reply with one JSON object, {"findings": "…"}, and nothing else.',
    "text": "Reply with the new findings alone: no heading, no comment, no quotation marks around them.",
}


def instruction(
    graph: ConceptGraph, sample: Sample, plan: Plan, reply_format: ReplyFormat, rejected: Sequence[str] = ()
) -> str:
    """The task of one counterfactual in words.

    Args:
        graph: Knows what speaks for and against both results.
        sample: Its findings are rewritten.
        plan: Which result replaces which, and what that licenses.
        reply_format: How to reply.
        rejected: Why earlier attempts at this counterfactual were rejected, in their order.
    """
    parts = [
        f"Findings:\n{sample.factual.thinking}",
        f"They argue for: {', '.join(sample.results)}.\nRewrite them to argue for {plan.target} in place of "
        f"{plan.replaced}." + _kept(sample, plan),
        _knowledge(graph, plan),
        _RULES,
    ]
    if rejected:
        parts.append(_attempts(rejected))
    return "\n\n".join([*parts, _REPLY[reply_format]])


_RULES = """Rules:
- Change as few sentences as you can. Copy every other sentence word for word, in its place.
- Where a changed sentence tells a side or a degree, the new one tells the same.
- A sentence that denies what now holds is turned or left out.
- Assert no abnormality that is neither in the findings nor listed above as one that may be.
- Do not say that anything was changed."""


def _kept(sample: Sample, plan: Plan) -> str:
    kept = [result for result in sample.results if result != plan.replaced]
    return f" They go on arguing for {', '.join(kept)}." if kept else ""


def _knowledge(graph: ConceptGraph, plan: Plan) -> str:
    """The part of the concept graph that bears on the two results."""
    lines = [
        _line(f"Decides for {plan.target}; assert at least one, and deny none", _examples(graph, plan.decisive)),
        _line(f"Goes with {plan.target}; may be asserted", _named(graph, plan.allowed - plan.decisive)),
        _line("Must not be asserted or suspected any more", _named(graph, _fallen(graph, plan))),
    ]
    if plan.target in graph.diseases:
        ruled_out = graph.attributes_of(plan.target, Relation.EXCLUSION)
        lines.append(_line(f"Ruled out by {plan.target}; must not be asserted", ruled_out))
    else:
        lines.append(f"{plan.target} means that no abnormality of the list is asserted.")
    return "What is known:\n" + "\n".join(line for line in lines if line)


def _fallen(graph: ConceptGraph, plan: Plan) -> Collection[str]:
    """What speaks for the replaced result and for none that stays."""
    return {*plan.gone, *(graph.hallmarks(plan.replaced) if plan.replaced in graph.diseases else ())}


def _named(graph: ConceptGraph, attributes: Collection[str]) -> list[str]:
    """In the graph's order, so that equal tasks have equal words."""
    return [name for name in graph.attributes if name in attributes]


def _examples(graph: ConceptGraph, attributes: Collection[str]) -> list[str]:
    """The same, each with a sentence that asserts it."""
    return [f'{name} (as in "{_blanks(graph, name)}")' for name in _named(graph, attributes)]


def _blanks(graph: ConceptGraph, attribute: str) -> str:
    wording = graph.attributes[attribute].wordings_present[0]
    told = {"{side}": "left/right", "{severity}": "mild/moderate/severe", "{size}": "small/moderate/large"}
    for blank, options in told.items():
        wording = wording.replace(blank, options)
    return wording


def _line(head: str, names: Collection[str]) -> str:
    return f"- {head}: {'; '.join(names)}." if names else ""


def _attempts(rejected: Sequence[str]) -> str:
    told = "\n".join(f"- attempt {number}: {reason}" for number, reason in enumerate(rejected, 1))
    return f"Earlier attempts were rejected. Do not repeat what was wrong with them:\n{told}"
