# PYTHON_ARGCOMPLETE_OK
"""Can this set-up tell harm from nothing?

Question   Before an ablation is believed: are arms that cannot matter called not distinguishable,
           and one that must do harm called harmful, on these clips with these seeds?
Command    python sweeps/controls.py --demo --data-root ESC-50
           ray submit cluster/gpu.yaml sweeps/controls.py -- --data-root DIR
           The baseline and the adaptor are trained once with `datar_table4.py` in one store.
Cost       --demo: 40 trials of about 6 s on one CPU core.
Expected   An adaptor of strength 0: equal to the last bit. Noise of scale 1e-6 on the input, which
           moves no feature by a ten-thousandth of its spread: not distinguishable. Half of the
           training labels shuffled: hurts.
Result     --demo on ESC-10, fold 1, 8 seeds: shuffled labels hurt by 20 points (9 to 31, adjusted
           p 0.0078); the noise changes no top-1 in any pair. No full-size result yet.
"""

from orchestrator import Arm, Component, Contrast, Plan, cli, recipes

BASELINE = "with deformable"
HARM, NOTHING = "control: half of the labels shuffled", "control: noise of scale 1e-6"
NULL = "control: adaptor of strength 0"
ADAPTOR = "deformable + adaptor λ=0.005"

PLAN = Plan(
    name="controls",
    question="Are a harmful and a void change told apart from the baseline as they should be?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    arms=(
        Arm(name=BASELINE),
        Arm(name=ADAPTOR, changes={"transform": Component("adaptor", strength=0.005)}),
        Arm(
            name=NULL, changes={"transform": Component("adaptor", strength=0.0)}, null_control=True
        ),
        Arm(name=NOTHING, changes={"transform": Component("gaussian", scale=1e-6)}),
        Arm(name=HARM, changes={"shuffled_labels": 0.5}),
    ),
    contrasts=tuple(Contrast(arm, BASELINE) for arm in (HARM, NOTHING, NULL, ADAPTOR)),
)

if __name__ == "__main__":
    cli.main(PLAN)
