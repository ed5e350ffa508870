# PYTHON_ARGCOMPLETE_OK
"""Which strength and kernel size should the input adaptor have?

Question   The DATAR paper (arXiv 2312.16228) tries two strengths and does not state the kernel.
           Optuna's TPE searches both. The best of many points is an optimistic number: --confirm
           compares the best with the control on 8 fresh seeds, and that table is the result.
Command    python sweeps/adaptor_search.py --demo
           ray submit cluster/gpu.yaml sweeps/adaptor_search.py -- --data-root DIR --confirm 3
Cost       --demo: a control and 8 points, 9 trials of about 6 s on one CPU core; --confirm 3 adds
           32.
Expected   Unknown.
Result     No full-size result yet.
"""

from orchestrator import Arm, Choice, Component, LogUniform, Plan, Search, cli, recipes

PLAN = Search(
    plan=Plan(
        name="adaptor_search",
        question="Which strength λ and kernel size of the input adaptor score best?",
        base=recipes.datar_tiny(),
        demo=recipes.datar_laptop(),
        arms=(Arm(name="no adaptor"),),
        seeds=(0,),
        demo_seeds=(0,),
    ),
    space={
        "transform.strength": LogUniform(1e-3, 1.0),
        "transform.kernel_size": Choice((1, 3, 5, 7)),
    },
    symbols={"transform.strength": "λ", "transform.kernel_size": "kernel"},
    shared={"transform": Component("adaptor")},
    num_points=30,
    demo_points=8,
)

if __name__ == "__main__":
    cli.main(PLAN)
