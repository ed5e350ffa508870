# PYTHON_ARGCOMPLETE_OK
"""Table 4 of the DATAR paper, with seeds.

Question   Which parts of DATAR (arXiv 2312.16228) earn their place: deformable attention, the
           learnable input adaptor, or would noise on the input do as well?
Command    python sweeps/datar_table4.py --demo
           ray submit cluster/gpu.yaml sweeps/datar_table4.py -- --data-root DIR
Cost       --demo: 48 trials of about 6 s on one CPU core; eight pairs find 1.6 spreads in 80 %.
Expected   The paper's single runs on Kinetics-Sounds, top-1/top-5: 69.4/86.6, 70.5/89.9,
           70.2/90.1, 70.5/89.6, 70.5/90.2, 71.5/90.5 in the order of the arms.
Result     --demo on ESC-10, fold 1, 8 seeds: 67.3, 70.3, 70.2, 70.0, 70.0, 70.0 % top-1 in the
           order of the arms; no declared contrast is distinguishable. No full-size result yet.
"""

from models.zoo.cards import published_results
from orchestrator import Arm, Component, Contrast, Plan, cli, recipes, with_published

DEFORMABLE = "with deformable"


def row(name: str, **changes: object) -> Arm:
    """Return a row of the paper's table: its name, its numbers, what it changes."""
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    return with_published(
        Arm(name=name, changes=paths), *published_results("datar_tiny", form=name)
    )


ARMS = (
    row("without deformable", model__deformable=False),
    row(DEFORMABLE),
    row("deformable + N(0, 0.005)", transform=Component("gaussian", scale=0.005)),
    row("deformable + L(0, 0.005)", transform=Component("laplacian", scale=0.005)),
    row("deformable + adaptor λ=0.2", transform=Component("adaptor", strength=0.2)),
    row("deformable + adaptor λ=0.005", transform=Component("adaptor", strength=0.005)),
)

PLAN = Plan(
    name="datar_table4",
    question="Which parts of DATAR help: deformable attention, the adaptor, or mere noise?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    arms=ARMS,
    baseline=DEFORMABLE,
    contrasts=(
        Contrast("deformable + adaptor λ=0.005", DEFORMABLE),
        Contrast(DEFORMABLE, "without deformable"),
        Contrast("deformable + adaptor λ=0.005", "deformable + N(0, 0.005)"),
        Contrast("deformable + adaptor λ=0.005", "deformable + L(0, 0.005)"),
        Contrast("deformable + adaptor λ=0.2", DEFORMABLE),
    ),
)

if __name__ == "__main__":
    cli.main(PLAN)
