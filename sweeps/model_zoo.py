"""How do the families compare under one recipe, on one set of clips?

Question   DATAR, HTS-AT, AST and PANNs report numbers from different data, pretraining and
           recipes. What is left of the differences when all of that is held equal, from scratch?
Command    python sweeps/model_zoo.py --demo --data-root ESC-50
           ray submit cluster/gpu.yaml sweeps/model_zoo.py
Cost       --demo: 24 trials of 12 to 25 s on one CPU core.
Expected   Unknown; published rankings are from pretrained weights and large sets.
Result     No full-size result yet.
"""

from orchestrator import baselines, cli
from orchestrator.ablation import Arm, FromBase
from orchestrator.config import Component, Experiment
from orchestrator.plan import Plan

LOG_MEL = {
    "laptop": Component(
        "log_mel", sample_rate=16000, n_fft=512, win_length=512, hop_length=320, f_max=8000.0
    ),
    "full": Component("log_mel", sample_rate=44100, hop_length=441),
}


def size_of(base: Experiment) -> str:
    """Return which size of the families a base asks for."""
    return "laptop" if base.model.name.endswith("laptop") else "full"


def family(name: str, *, laptop: str, full: str, log_mel: bool) -> Arm:
    """Return an arm with a family in its two sizes, on its own front end."""
    models = {"laptop": Component(laptop), "full": Component(full)}
    changes: dict[str, object] = {"model": FromBase(lambda base: models[size_of(base)])}
    if log_mel:
        changes["frontend"] = FromBase(lambda base: LOG_MEL[size_of(base)])
    return Arm(name=name, changes=changes)


PLAN = Plan(
    name="model_zoo",
    question="Which family is most accurate under one recipe, from scratch?",
    base=baselines.datar_tiny(),
    demo=baselines.datar_laptop(),
    arms=(
        Arm(name="DATAR"),
        family("AST", laptop="ast_laptop", full="ast_base", log_mel=False),
        family("HTS-AT", laptop="htsat_laptop", full="htsat_tiny", log_mel=True),
        family("PANNs", laptop="cnn6_laptop", full="cnn14", log_mel=True),
    ),
)

if __name__ == "__main__":
    cli.main(PLAN)
