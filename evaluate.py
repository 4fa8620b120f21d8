"""Rebuilds a run directory and judges its policy again, or compares two runs on the items that both were judged on.

python evaluate.py run=outputs/runs/NAME                            the run's own benchmarks: the same numbers
python evaluate.py run=outputs/runs/NAME benchmark=[preference]     only some
python evaluate.py run=outputs/runs/NAME benchmark=[disease_classification] from=predictions
                                                                    its kept completions, without the policy
python evaluate.py 'compare=[outputs/runs/A,outputs/runs/B]'        paired differences, intervals, p-values
"""

import hydra
from omegaconf import DictConfig

from cpo import launch, refusals
from cpo.commands import compare

launch.prepare()


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
@refusals.speaks_plainly
def main(cfg: DictConfig) -> None:
    """One run directory, or two against each other."""
    if cfg.compare:
        compare.compare_runs(cfg.compare)
    else:
        launch.evaluate_again(cfg)


if __name__ == "__main__":
    refusals.run(main)
