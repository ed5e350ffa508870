"""How do the families compare under one recipe, on one set of clips?

Question   DATAR, HTS-AT, AST and PANNs report numbers from different data, pretraining and
           recipes. What is left of the differences when all of that is held equal, from scratch?
Command    python sweeps/model_zoo.py --demo --data-root ESC-50
           python sweeps/model_zoo.py --demo --arms DATAR AST
           ray submit cluster/gpu.yaml sweeps/model_zoo.py
Cost       --demo: 24 trials of 12 to 25 s on one CPU core.
Expected   Unknown; the published numbers are from pretrained weights. The recipe is DATAR's, which
           may flatter it: give each family its own search before you rank them.
Result     No full-size result yet.
"""

from orchestrator import baselines, cli
from orchestrator.ablation import Arm
from orchestrator.families import AST, DATAR, HTSAT, PANNS
from orchestrator.plan import Plan

PLAN = Plan(
    name="model_zoo",
    question="Which family is most accurate under one recipe, from scratch?",
    base=baselines.datar_tiny(),
    demo=baselines.datar_laptop(),
    arms=(
        Arm(name="DATAR", changes=DATAR.changes),
        Arm(name="AST", changes=AST.changes, published={"val/top1": 95.6}),
        Arm(name="HTS-AT", changes=HTSAT.changes, published={"val/top1": 97.0}),
        Arm(name="PANNs", changes=PANNS.changes, published={"val/top1": 90.5}),
    ),
    source="HTS-AT, arXiv 2202.00874, its table on ESC-50",
    conditions="ESC-50, 50 classes, mean of 5 folds, AudioSet pretraining, the best epoch chosen "
    "on the held-out fold",
)

if __name__ == "__main__":
    cli.main(PLAN)
