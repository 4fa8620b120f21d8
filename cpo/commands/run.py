"""What the `cpo` command does with a finished run: score pairs by it, export its policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cpo import config
from cpo.app import Job
from cpo.commands.settings import settings
from cpo.errors import ConfigError
from cpo.files import write_text
from cpo.policy.export import export_policy
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.score import read_pair_file, score_pairs
from cpo.privacy import require_allowed
from cpo.report.record import read_run
from cpo.rundir import finished_run
from cpo.tracking.composite import CompositeTracker

ACKNOWLEDGED = (
    "## Privacy\n\nTrained on credentialed data and exported with `privacy=acknowledged`: whoever exported it took the "
    "responsibility for keeping to the data use agreement."
)


def rebuilt(directory: Path) -> tuple[Job, LoadedPolicy]:
    """A finished run as objects again, and its tuned policy, adapter in place.

    Raises:
        DataError: The directory is not that of a finished run, or the model that its adapter was made for is gone.
    """
    config.register_schemas()
    summary, cfg = finished_run(directory)
    job = Job(cfg, directory, summary["choices"], CompositeTracker(trackers=[]))
    policy = job.load(Path(job.backbone.adapter_base(directory / "adapter")))
    job.check_base(policy)
    policy.model = job.backbone.load_adapter(policy.model, directory / "adapter")
    return job, policy


def score(given: Sequence[str]) -> Path:
    """Scores every row of a pair file by a run's policy and its reference, and writes a row for each.

    Rewards are scaled by the β of the run's loss, or by 1 if it has none.

    Args:
        given: `pairs=` the pair file, `run=` the run directory, `out=` the JSONL file to write.
    """
    usage = "cpo score pairs=FILE run=DIR out=FILE.jsonl"
    own = settings(given, {"pairs": True, "run": True, "out": True}, usage)
    rows, out = read_pair_file(Path(own["pairs"])), Path(own["out"])
    job, policy = rebuilt(Path(own["run"]).absolute())
    beta = float(job.cfg.loss.get("beta", 1.0))
    results = score_pairs(policy, rows, beta=beta, batch_size=int(job.cfg.optim.batch_size))
    write_text(out, "".join(json.dumps(result) + "\n" for result in results))
    print(out)
    return out


def export(given: Sequence[str]) -> Path:
    """Writes a run's adapter, or its policy merged, for plain `transformers` and `peft`, and checks the numbers.

    Args:
        given: `run=` the run directory, `out=` the directory to make, `merge=` `true` or `false`, and for a policy
            trained on credentialed data `privacy=acknowledged`, which its model card then says.

    Raises:
        ConfigError: `merge` or `privacy` is neither.
        PrivacyError: Trained on credentialed data, and `privacy=acknowledged` is not given.
    """
    known = {"run": True, "out": True, "merge": False, "privacy": False}
    own = settings(given, known, "cpo export run=DIR out=DIR merge=true")
    merge, privacy = own.get("merge", "false"), own.get("privacy", "strict")
    if privacy not in ("strict", "acknowledged"):
        raise ConfigError(got=f"privacy={privacy}", wanted="strict or acknowledged", remedy="leave it out")
    if merge not in ("true", "false"):
        raise ConfigError(got=f"merge={merge}", wanted="true or false", remedy="pass merge=true")
    directory = Path(own["run"]).absolute()
    if read_run(directory).access != "open":
        # weights may hold what they were trained on
        require_allowed(
            "credentialed",
            what="a policy trained on data",
            destination=own["out"],
            local=False,
            acknowledged=privacy == "acknowledged",
        )
    job, policy = rebuilt(directory)
    rows = read_pair_file(directory / "pairs_sample.jsonl")
    made = Path(own["out"]).absolute()
    off = export_policy(policy, job.backbone, directory / "adapter", made, rows, merge=merge == "true")
    if privacy == "acknowledged":
        card = made / "README.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else f"# {directory.name}\n"
        write_text(card, f"{text}\n{ACKNOWLEDGED}\n")
    print(
        f"log-probs by plain transformers{'' if merge == 'true' else ' and peft'} "
        f"equal the run's, to {off:.1e} nats per token"
    )
    print(made)
    return made
