"""Does a pretrained start help, and by how much?

Question   The DATAR paper (arXiv 2312.16228) starts from DAT-T's ImageNet-1K weights and shows no
           run from scratch. What is that start worth?
Command    DAT_CHECKPOINT=dat_tiny_in1k_224.pth python sweeps/pretrain.py --data-root ESC-50
           python sweeps/pretrain.py --demo
           The file is the authors' (LeapLabTHU/DAT, first version, 82.0 % on ImageNet). --demo
           first trains a checkpoint of its own, on kinds of sound that the sweep does not use.
Cost       --demo: 12 trials and one longer one of about 12 s on one CPU core.
Expected   A gain; the paper gives no number.
Result     No full-size result yet.
"""

import dataclasses
import os

from orchestrator import baselines, cli
from orchestrator.ablation import Arm, FromBase
from orchestrator.config import Component, Experiment, File
from orchestrator.plan import Plan
from orchestrator.prepare import pinned

CHECKPOINT = os.environ.get("DAT_CHECKPOINT", "dat_tiny_in1k_224.pth")


def other_sounds(base: Experiment) -> tuple[Experiment, ...]:
    """Return the experiment whose weights the demo starts from: classes 10 to 19, seed 100."""
    if base.model.name != "datar_laptop":
        return ()
    dataset = pinned(Component("synthetic", first_class=10))
    return (dataclasses.replace(base, dataset=dataset, seed=100, fold=1),)


def start(base: Experiment) -> Component:
    """Return the pretrained start: the demo's own checkpoint, or the published file."""
    trained = other_sounds(base)
    if trained:
        return Component("trial", id=trained[0].id)
    return Component("checkpoint", file=File.read(CHECKPOINT))


PLAN = Plan(
    name="pretrain",
    question="How much is a pretrained start worth?",
    base=baselines.datar_tiny(),
    demo=baselines.datar_laptop(),
    arms=(Arm(name="scratch"), Arm(name="pretrained", changes={"initial": FromBase(start)})),
    prerequisites=other_sounds,
)

if __name__ == "__main__":
    cli.main(PLAN)
