"""Judges the policy of a run again, or any policy by path, or compares two runs on what both were judged on.

python evaluate.py run=outputs/runs/NAME                            the run's own benchmarks: the same numbers
python evaluate.py run=outputs/runs/NAME benchmark=[preference]     only some
python evaluate.py run=outputs/runs/NAME benchmark=[disease_classification] from=predictions
                                                                    its kept completions, without the policy
python evaluate.py policy.path=DIR dataset=NAME 'benchmark=[disease_classification]'
                                                                    an adapter, merged checkpoint or bare model
python evaluate.py 'compare=[outputs/runs/A,outputs/runs/B]'        paired differences, intervals, p-values
"""

import hydra
from omegaconf import DictConfig

from cpo import launch, refusals
from cpo.commands import compare, judge

launch.prepare()


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
@refusals.speaks_plainly
def main(cfg: DictConfig) -> None:
    """One run directory, one policy by path, or two runs against each other."""
    if cfg.compare:
        compare.compare_runs(cfg.compare)
    elif cfg.policy.path:
        judge.judge_policy(cfg)
    else:
        launch.evaluate_again(cfg)


if __name__ == "__main__":
    refusals.run(main)
