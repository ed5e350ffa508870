# PYTHON_ARGCOMPLETE_OK
"""Does a pretrained start help, and by how much, in every family?

Question   Published numbers start from published weights: DATAR from DAT-T's (ImageNet-1K), AST
           from AudioSet's, HTS-AT from Swin-T's (ImageNet-1K), PANNs from AudioSet's, PSLA from
           EfficientNet's (ImageNet-1K), VGGSound's ResNet and SlowFast from VGG-Sound's, TALNet
           from AudioSet's. Neither the DATAR paper (arXiv 2312.16228) nor a table shows all of them
           from scratch as well.
Command    python sweeps/pretrain.py --demo
           python sweeps/pretrain.py --demo --arms "AST*"
           DATAR_CHECKPOINT=dat_tiny_in1k_224.pth python sweeps/pretrain.py --arms "DATAR*"
           Without DATAR_, AST_, HTSAT_, PANNS_CHECKPOINT and so on the files are fetched. --demo
           trains checkpoints of its own first, on kinds of sound that the sweep does not use.
Cost       --demo: 152 trials of 12 to 25 s on one CPU core; nine pairs find 1.6 spreads in 80 %.
Expected   A gain in every family; AST's paper has 88.7 % without and 95.6 % with AudioSet on
           ESC-50.
Result     No full-size result yet.
"""

from orchestrator import Arm, Contrast, Plan, cli, recipes
from orchestrator.recipes.families import PRETRAINED, Family
from orchestrator.recipes.initial_weights import pretrained, trained_first


def arms(family: Family) -> tuple[Arm, Arm]:
    """Return a family from scratch and from its published weights."""
    start = {**family.changes, "initial": pretrained(family)}
    return (
        Arm(name=f"{family.name} scratch", changes=family.changes),
        Arm(name=f"{family.name} pretrained", changes=start),
    )


PLAN = Plan(
    name="pretrain",
    question="How much is a pretrained start worth, family by family?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    demo_seeds=tuple(range(9)),
    arms=tuple(arm for family in PRETRAINED for arm in arms(family)),
    contrasts=tuple(Contrast(f"{f.name} pretrained", f"{f.name} scratch") for f in PRETRAINED),
    prerequisites=trained_first,
)

if __name__ == "__main__":
    cli.main(PLAN)
