# PYTHON_ARGCOMPLETE_OK
"""Is the learnable input adaptor more than noise on the input?

Question   The DATAR paper (arXiv 2312.16228) compares its adaptor with Gaussian and Laplacian
           perturbations of scale 0.005, during training. What if the noise stays on at test time,
           as the adaptor does, or has in every clip the variance of what the adaptor adds?
Command    python sweeps/perturbation.py --demo
           ray submit cluster/gpu.yaml sweeps/perturbation.py -- --data-root DIR
Cost       --demo: 56 trials of about 6 s on one CPU core; eight pairs find 1.7 spreads in 80 %.
Expected   The paper, on Kinetics-Sounds: 70.2 % Gaussian, 70.5 % Laplacian, 71.5 % adaptor.
Result     No full-size result yet.
"""

from orchestrator import (
    Component,
    Contrast,
    Factor,
    Level,
    Plan,
    cli,
    noise_control,
    one_at_a_time,
    recipes,
)


def level(name: str, kind: str, **arguments: object) -> Level:
    """Return a level that puts one input transform in place of none."""
    return Level(name, {"transform": Component(kind, **arguments)})


ADAPTOR = Component("adaptor", strength=0.005)
TRANSFORM = Factor(
    "input",
    (
        Level("plain"),
        Level("adaptor", {"transform": ADAPTOR}),
        noise_control(ADAPTOR),
        level("Gaussian", "gaussian", scale=0.005),
        level("Laplacian", "laplacian", scale=0.005),
        level("Gaussian, also at test", "gaussian", scale=0.005, at_test=True),
        level("Laplacian, also at test", "laplacian", scale=0.005, at_test=True),
    ),
)

PLAN = Plan(
    name="perturbation",
    question="Does the learnable adaptor do more than noise of the same scale?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    arms=one_at_a_time(TRANSFORM, baseline="plain"),
    contrasts=tuple(Contrast("adaptor", o.name) for o in TRANSFORM.levels if o.name != "adaptor"),
)

if __name__ == "__main__":
    cli.main(PLAN)
