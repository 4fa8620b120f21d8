"""What CODA-LM's judge is told: our own words for the published criteria, in the published form.

The worked examples of its first two stages are the release's. They are read from the user's copy of the repository, or
left out; the prompt's fingerprint tells which.
"""

from __future__ import annotations

import json
from pathlib import Path

from cpo.dataset.coda_release import Task
from cpo.errors import DataError
from cpo.evaluation.judge import Instruction
from cpo.metrics.judging import CODA_LM, bracketed_rating

CRITERIA: dict[Task, str] = {
    "general_perception": (
        "The texts describe a traffic scene: the objects that bear on the ego car, and why each of them does. Rate how "
        "accurate the prediction is: objects, states and colours of traffic lights as in the reference. Rate whether "
        "it keeps to what is there: an object that the reference does not have is worse than one left out. Rate "
        "whether the reasons it gives belong to the objects they are given for. Differences in where an object "
        "stands, and in the colour of an object, do not count."
    ),
    "driving_suggestion": (
        "The texts advise the ego car in a traffic scene. Rate whether the prediction advises the same manoeuvre as "
        "the reference, and whether following it would be safe there. Rate whether it deals with the objects that the "
        "reference deals with: general rules of good driving that would fit any scene earn little. Rate whether it is "
        "as specific as the reference."
    ),
    "region_perception": (
        "The texts describe one object in a traffic scene and why it bears on the ego car. Rate first whether the "
        "prediction is about the same kind of object, then whether what it says of the object's state agrees with the "
        "reference, then whether its reason does. Differences in where the object stands do not count."
    ),
}
SYSTEM = (
    "You judge texts about driving without seeing the picture. You get a reference text, which is right, and a "
    "prediction text. {criteria} Length and style do not count. First explain your judgement in a few sentences. Then "
    "end with a rating from 1 (nothing is right) to 10 (everything is right), written exactly in this form: "
    "Rating: [[5]]"
)
EXAMPLES: dict[Task, tuple[str, ...]] = {
    "general_perception": ("scene_few_shot_high.json", "scene_few_shot_low.json"),
    "driving_suggestion": ("suggestion_few_shot_high.json", "suggestion_few_shot_low.json"),
    "region_perception": (),
}
"""Files of the release's worked examples, in the order in which the judge sees them."""
FIELDS = ("reference", "prediction", "response")


def instruction(stage: Task, few_shot: str) -> Instruction:
    """What the judge of a stage is told.

    Args:
        stage: Of the three.
        few_shot: Folder of the release's worked examples; empty for none.

    Raises:
        DataError: An example is not there, or has not its three texts.
    """
    shots = tuple(_example(Path(few_shot).expanduser() / name) for name in EXAMPLES[stage]) if few_shot else ()
    return Instruction(SYSTEM.format(criteria=CRITERIA[stage]), compared, bracketed_rating, CODA_LM, shots)


def compared(reference: str, prediction: str) -> str:
    """The two texts in the published form.

    Source:
        DLUT-LYZ/CODA-LM, evaluation scripts.
    """
    return (
        f"[The Start of Reference Text]\n{reference}\n[The End of Reference Text]\n\n"
        f"[The Start of Prediction Text]\n{prediction}\n[The End of Prediction Text]"
    )


def _example(file: Path) -> tuple[str, str, str]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        reference, prediction, response = (str(content[field]) for field in FIELDS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            got=f"no worked example in {file.name} of few_shot={file.parent}",
            wanted=f"the release's JSON files {', '.join(EXAMPLES['general_perception'])}, … with {', '.join(FIELDS)}",
            remedy="pass few_shot=FOLDER of a copy of DLUT-LYZ/CODA-LM, or few_shot='' for no examples",
        ) from error
    return reference, prediction, response
