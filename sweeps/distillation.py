# PYTHON_ARGCOMPLETE_OK
"""Does a transformer learn more from a trained CNN than from the labels alone?

Question   On small data sets a convolutional teacher helps a transformer (DeiT, arXiv 2012.12877;
           KWT, arXiv 2104.00769); a teacher's stored probabilities are what efficient taggers
           are trained on (arXiv 2211.04772). Does a CNN of PANNs teach DATAR, by its
           probabilities or by its decisions?
Command    python sweeps/distillation.py --demo
           python sweeps/distillation.py --data-root ESC-50
           The arm PANNs is trained first, each seed and fold for its own students, and its outputs
           on all clips are computed once.
Cost       --demo: 32 trials of the laptop sizes of `model_zoo.py`.
Expected   Students above the student alone; DeiT's Table 3 has hard labels above soft ones.
Result     None yet.
"""

from orchestrator import Arm, Component, Contrast, Plan, cli, recipes
from orchestrator.recipes.families import PANNS

TEACHER = "arm:PANNs"
SOFT = Component("soft", teacher=TEACHER, weight=0.9, temperature=2.0)

PLAN = Plan(
    name="distillation",
    question="Does a CNN of PANNs teach DATAR, by its probabilities or by its decisions?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    arms=(
        Arm(name="DATAR alone"),
        Arm(name="DATAR, soft", changes={"distillation": SOFT}),
        Arm(name="DATAR, hard", changes={"distillation": Component("hard", teacher=TEACHER)}),
        Arm(name="PANNs", changes=PANNS.changes),
    ),
    contrasts=(
        Contrast("DATAR, soft", "DATAR alone"),
        Contrast("DATAR, hard", "DATAR alone"),
    ),
)

if __name__ == "__main__":
    cli.main(PLAN)
