"""Do deformable attention and the input adaptor help each other?

Question   The DATAR paper (arXiv 2312.16228) argues that deformable attention over-simplifies its
           input and that the adaptor makes up for it. If so, the adaptor should gain more with
           deformable attention than without: an interaction in a 2 x 2 design.
Command    python sweeps/deformable.py --demo
           ray submit cluster/gpu.yaml sweeps/deformable.py -- --data-root DIR
Cost       --demo: 32 trials of about 12 s on one CPU core; four comparisons need eight seeds.
Expected   The paper has three of the four cells: 69.4, 70.5 and 71.5 % on Kinetics-Sounds. It has
           no adaptor without deformable attention, so nothing of it speaks of the interaction.
Result     --demo on ESC-10, fold 1, 8 seeds: interaction +0.5 +- 1.4 points of top-1, adaptor
           +0.1 +- 0.7 (with deformable attention +0.3 +- 1.2), deformable attention +1.3 +- 3.0,
           adjusted p 1 each: none is distinguishable. No full-size result yet.
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
    demo_seeds=tuple(range(8)),
    arms=full_factorial(ATTENTION, INPUT),
    contrasts=(Contrast("deformable, adaptor", "deformable, plain"),),
    effects=(Effect(("input", "attention")), Effect(("input",)), Effect(("attention",))),
)

if __name__ == "__main__":
    cli.main(PLAN)
