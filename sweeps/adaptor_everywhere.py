# PYTHON_ARGCOMPLETE_OK
"""Does DATAR's input adaptor help other families too?

Question   The DATAR paper (arXiv 2312.16228) puts a learnable residual convolution before its own
           backbone. Nothing in it is peculiar to deformable attention: does it help the other
           twelve families as much?
Command    python sweeps/adaptor_everywhere.py --demo
           python sweeps/adaptor_everywhere.py --demo --arms "DATAR*" "AST*"
           ray submit cluster/gpu.yaml sweeps/adaptor_everywhere.py -- --data-root DIR
Cost       --demo: 260 trials of 6 to 85 s on one CPU core; thirteen contrasts need ten pairs
           (13 * 2 / 2^10 is below 0.05). --arms takes a few families: two are 40 trials.
Expected   The paper has one of the cells beside its plain form: 70.5 to 71.5 % for DATAR.
           HTS-AT and PANNs normalize behind the adaptor, so its bias does nothing there.
Result     No full-size result yet.
"""

from orchestrator import Component, Contrast, Factor, Level, Plan, cli, full_factorial, recipes
from orchestrator.recipes.families import FAMILIES

INPUT = Factor(
    "input",
    (Level("plain"), Level("adaptor", {"transform": Component("adaptor", strength=0.005)})),
)

PLAN = Plan(
    name="adaptor_everywhere",
    question="Which families does the input adaptor help?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    demo_seeds=tuple(range(10)),
    arms=full_factorial(Factor("family", tuple(family.level for family in FAMILIES)), INPUT),
    contrasts=tuple(Contrast(f"{f.name}, adaptor", f"{f.name}, plain") for f in FAMILIES),
)

if __name__ == "__main__":
    cli.main(PLAN)
