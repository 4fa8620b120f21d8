"""Rebuilds a run directory and judges its policy again.

python evaluate.py run=outputs/runs/NAME                            the run's own benchmarks: the same numbers
python evaluate.py run=outputs/runs/NAME benchmark=[preference]     only some
python evaluate.py run=outputs/runs/NAME benchmark=[disease_classification] from=predictions
                                                                    its kept completions, without the policy
"""

import hydra
from omegaconf import DictConfig

from cpo import launch, refusals

launch.prepare()


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
@refusals.speaks_plainly
def main(cfg: DictConfig) -> None:
    """One run directory."""
    launch.evaluate_again(cfg)


if __name__ == "__main__":
    refusals.run(main)
