# PYTHON_ARGCOMPLETE_OK
"""Which parts of HTS-AT earn their place?

Question   HTS-AT (arXiv 2202.00874) adds a token-semantic head (C) to a hierarchical transformer
           (H) and starts from Swin-T's ImageNet weights (P). What is each worth?
Command    python sweeps/htsat_components.py --demo
           python sweeps/htsat_components.py --data-root ESC-50
           Swin's file is fetched, unless HTSAT_CHECKPOINT names it. --demo first trains a
           checkpoint of its own, on kinds of sound that the sweep does not use.
Cost       --demo: 24 trials and one more of about 12 s on one CPU core.
Expected   The paper's Table 1, mAP on AudioSet: H 0.440, HC 0.453, HCP 0.471.
Result     No full-size result yet.
"""

from models.zoo.cards import published_results
from orchestrator import Arm, Contrast, Plan, cli, recipes, with_published
from orchestrator.recipes.families import HTSAT
from orchestrator.recipes.initial_weights import pretrained, trained_first


def row(form: str, **changes: object) -> Arm:
    """Return a form of the paper beside its mAP on AudioSet."""
    found = published_results("htsat_tiny", metric="val/map", form=form)
    return with_published(Arm(name=form, changes=changes), *found)


PLAN = Plan(
    name="htsat_components",
    question="What are HTS-AT's token-semantic head and its pretrained start worth?",
    base=recipes.htsat_tiny(),
    demo=recipes.htsat_laptop(),
    metric="val/map",
    arms=(
        row("H", **{"model.token_semantic": False}),
        row("HC"),
        row("HCP", initial=pretrained(HTSAT)),
    ),
    contrasts=(Contrast("HC", "H"), Contrast("HCP", "HC")),
    prerequisites=trained_first,
)

if __name__ == "__main__":
    cli.main(PLAN)
