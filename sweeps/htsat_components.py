"""Which parts of HTS-AT earn their place?

Question   HTS-AT (arXiv 2202.00874) adds a token-semantic head to a hierarchical transformer and
           starts from Swin-T's ImageNet weights. What is each worth?
Command    python sweeps/htsat_components.py --demo
           HTSAT_CHECKPOINT=swin.pth python sweeps/htsat_components.py --data-root ESC-50
           The file is swin_tiny_c24_patch4_window8_256.pth of Swin's authors. --demo first trains
           a checkpoint of its own, on kinds of sound that it does not use.
Cost       --demo: 21 trials and one more of about 12 s on one CPU core.
Expected   The paper's Table 1, mAP on AudioSet: H 0.440, HC 0.453, HCP 0.471.
Result     No full-size result yet.
"""

from orchestrator import baselines, cli
from orchestrator.ablation import Arm, Contrast
from orchestrator.families import HTSAT
from orchestrator.plan import Plan
from orchestrator.starts import pretrained, trained_first

PLAN = Plan(
    name="htsat_components",
    question="What are HTS-AT's token-semantic head and its pretrained start worth?",
    base=baselines.htsat_tiny(),
    demo=baselines.htsat_laptop(),
    demo_seeds=tuple(range(7)),
    metric="val/map",
    arms=(
        Arm(
            name="H (hierarchy alone)",
            changes={"model.token_semantic": False},
            published={"val/map": 0.440},
        ),
        Arm(name="HC (token-semantic head)", published={"val/map": 0.453}),
        Arm(
            name="HCP (pretrained)",
            changes={"initial": pretrained(HTSAT)},
            published={"val/map": 0.471},
        ),
    ),
    contrasts=(
        Contrast("HC (token-semantic head)", "H (hierarchy alone)"),
        Contrast("HCP (pretrained)", "HC (token-semantic head)"),
    ),
    prerequisites=trained_first,
    source="HTS-AT, arXiv 2202.00874, Table 1",
    conditions="AudioSet, 527 classes, multi-label, single models with weight averaging",
)

if __name__ == "__main__":
    cli.main(PLAN)
