"""Trains and judges one policy: SFT, then a preference stage on a drifting stream, with a control of equal compute.

python train.py                                                   the defaults of conf/train.yaml
python train.py loss=dpo counterfactual=random drift=gradual      another choice in three groups
python train.py -m drift=sudden,gradual seed=0,1                  four jobs, two axes
"""

import hydra
from omegaconf import DictConfig

from cpo import launch, refusals

launch.prepare()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
@refusals.speaks_plainly
def main(cfg: DictConfig) -> None:
    """One job."""
    with launch.open_job(cfg) as job:
        data = job.data()  # dataset → drift stream → counterfactuals → preference pairs
        job.record(data)
        if cfg.preflight != "none":
            job.preflight(data)  # counts, lengths, memory and time, before anything is spent
        if cfg.preflight == "only":
            return
        start = job.start(data)  # the SFT stage, trained now or by an earlier run
        data = job.paired(data, start)  # counterfactuals that are asked of the SFT policy
        job.judge("before", job.load(start), data)
        if cfg.control:
            job.judge("control", job.continue_sft(data, start), data)
        job.judge("after", job.prefer(data, start), data)
        job.report()


if __name__ == "__main__":
    refusals.run(main)
