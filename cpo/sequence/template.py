"""The text of a prompt and of a completion."""

from __future__ import annotations

from typing import Any

from cpo.records import Sample, Trajectory

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"


def completion_text(trajectory: Trajectory) -> str:
    """The completion as it is scored, without the end token.

    Example:
        >>> completion_text(Trajectory("The heart is large.", "The disease of this patient is Cardiomegaly."))
        '<think> The heart is large. </think> The disease of this patient is Cardiomegaly.'
        >>> completion_text(Trajectory("", "Stop."))  # the ablation without thinking
        'Stop.'
    """
    if not trajectory.thinking:
        return trajectory.answer
    return f"{THINK_OPEN} {trajectory.thinking} {THINK_CLOSE} {trajectory.answer}"


def prompt_messages(sample: Sample) -> list[dict[str, Any]]:
    """The conversation before the completion: one user turn, images first, in Hugging Face's parts format."""
    parts: list[dict[str, Any]] = [{"type": "image"} for _ in sample.images]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": sample.prompt}]}]
