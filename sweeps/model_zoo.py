# PYTHON_ARGCOMPLETE_OK
"""How do the families compare under one recipe, on one set of clips?

Question   The systems of HTS-AT's and DATAR's tables report numbers from different data,
           pretraining and recipes. What is left of the differences when all of that is held
           equal, from scratch?
Command    python sweeps/model_zoo.py --demo --data-root ESC-50
           python sweeps/model_zoo.py --demo --arms DATAR AST
           ray submit cluster/gpu.yaml sweeps/model_zoo.py -- --data-root DIR
Cost       --demo: 117 trials of 6 to 85 s on one CPU core; nine pairs find 1.7 spreads in 80 %.
Expected   Unknown; the published numbers are from pretrained weights. The recipe is DATAR's, which
           may flatter it: give each family its own search before you rank them.
Result     --demo on ESC-10, fold 1, 9 seeds: DATAR 70, AST 67, HTS-AT 71, PANNs 72 % top-1; no
           difference is distinguishable. All five folds, --demo --folds all --seeds 3 --arms DATAR
           HTS-AT PANNs: 69 +- 8, 74 +- 9 and 75 +- 4 %; HTS-AT +5 points (-8 to 18, adjusted p
           0.22) and PANNs +6 (-4 to 16, 0.21) over DATAR: not distinguishable. No full-size result
           yet.
"""

from models.zoo.cards import published_results
from orchestrator import Arm, Plan, cli, recipes, with_published
from orchestrator.recipes.families import FAMILIES, Family

FORMS = {"AST": "AST-P", "HTS-AT": "HCP"}


def row(family: Family) -> Arm:
    """Return a family's arm, beside its published number on ESC-50 where there is one."""
    arm = Arm(name=family.name, changes=family.changes)
    asked = {"metric": "val/top1", "dataset": "esc50", "form": FORMS.get(family.name)}
    own = published_results(family.full.name, quoted=False, **asked)
    found = own or published_results(family.full.name, **asked)
    return with_published(arm, *found) if found else arm


PLAN = Plan(
    name="model_zoo",
    question="Which family is most accurate under one recipe, from scratch?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    demo_seeds=tuple(range(9)),
    arms=tuple(row(family) for family in FAMILIES),
)

if __name__ == "__main__":
    cli.main(PLAN)
