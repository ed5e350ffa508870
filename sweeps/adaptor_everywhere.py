"""Does DATAR's input adaptor help other families too?

Question   The DATAR paper (arXiv 2312.16228) puts a learnable residual convolution before its own
           backbone. Nothing in it is peculiar to deformable attention: does it help AST, HTS-AT,
           PANNs and the other families as much?
Command    python sweeps/adaptor_everywhere.py --demo
           python sweeps/adaptor_everywhere.py --demo --arms "AST*"
           ray submit cluster/gpu.yaml sweeps/adaptor_everywhere.py
Cost       --demo: 126 trials of 12 to 25 s on one CPU core; seven contrasts need nine pairs.
Expected   The paper has one of the cells beside its plain form: 70.5 to 71.5 % for DATAR.
           HTS-AT and PANNs normalise behind the adaptor, so its bias does nothing there.
Result     No full-size result yet.
"""

from orchestrator import baselines, cli
from orchestrator.ablation import Contrast, Factor, Level
from orchestrator.config import Component
from orchestrator.designs import full_factorial
from orchestrator.families import SPECTROGRAM_NETS, TRANSFORMERS_AND_PANNS
from orchestrator.plan import Plan

INPUT = Factor(
    "input",
    (Level("plain"), Level("adaptor", {"transform": Component("adaptor", strength=0.005)})),
)

FAMILIES = (*TRANSFORMERS_AND_PANNS, *SPECTROGRAM_NETS)

PLAN = Plan(
    name="adaptor_everywhere",
    question="Which families does the input adaptor help?",
    base=baselines.datar_tiny(),
    demo=baselines.datar_laptop(),
    demo_seeds=tuple(range(9)),
    arms=full_factorial(Factor("family", tuple(family.level for family in FAMILIES)), INPUT),
    contrasts=tuple(Contrast(f"{f.name}, adaptor", f"{f.name}, plain") for f in FAMILIES),
)

if __name__ == "__main__":
    cli.main(PLAN)
