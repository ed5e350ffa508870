# PYTHON_ARGCOMPLETE_OK
"""Do deformable attention and the input adaptor help each other?

Question   The DATAR paper (arXiv 2312.16228) argues that deformable attention over-simplifies its
           input and that the adaptor makes up for it. If so, the adaptor should gain more with
           deformable attention than without: an interaction in a 2 x 2 design.
Command    python sweeps/deformable.py --demo
           ray submit cluster/gpu.yaml sweeps/deformable.py -- --data-root DIR
Cost       --demo: 32 trials of about 6 s on one CPU core; eight pairs find 1.6 spreads in 80 %.
Expected   The paper has three of the four cells: 69.4, 70.5 and 71.5 % on Kinetics-Sounds. It has
           no adaptor without deformable attention, so nothing of it speaks of the interaction.
Result     --demo on ESC-10, fold 1, 8 seeds: interaction -0.2 points of top-1 (-1.9 to 1.6,
           adjusted p 1), adaptor -0.2 (-0.9 to 0.4, adjusted p 0.49), with deformable attention
           -0.3 (-1.9 to 1.3, adjusted p 0.75), deformable attention +3 (-1 to 7, p 0.0078,
           adjusted p 0.13): none is distinguishable. No full-size result yet.
"""

from orchestrator import (
    Component,
    Contrast,
    Effect,
    Factor,
    Level,
    Plan,
    cli,
    full_factorial,
    recipes,
)

ATTENTION = Factor(
    "attention", (Level("fixed points", {"model.deformable": False}), Level("deformable"))
)
INPUT = Factor(
    "input",
    (
        Level("plain"),
        Level("adaptor", {"transform": Component("adaptor", strength=0.005)}),
    ),
)

PLAN = Plan(
    name="deformable",
    question="Does the adaptor gain more with deformable attention than without?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    arms=full_factorial(ATTENTION, INPUT),
    contrasts=(Contrast("deformable, adaptor", "deformable, plain"),),
    effects=(Effect(("input", "attention")), Effect(("input",)), Effect(("attention",))),
)

if __name__ == "__main__":
    cli.main(PLAN)
