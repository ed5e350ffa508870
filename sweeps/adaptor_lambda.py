# PYTHON_ARGCOMPLETE_OK
"""How strong should DATAR's learnable input adaptor be?

Question   Table 4 of the DATAR paper (arXiv 2312.16228) gives two strengths, 0.2 and 0.005, one
           run each, and reports +1.0 points of top-1 for the weaker. Is there a dose at which the
           adaptor helps, over paired seeds?
Command    python sweeps/adaptor_lambda.py --demo
           ray submit cluster/gpu.yaml sweeps/adaptor_lambda.py -- --data-root DIR
Cost       --demo: 48 trials of about 6 s on one CPU core; eight pairs find 1.2 spreads in 80 %.
Expected   The paper: 70.5 % without, 70.5 % at 0.2, 71.5 % at 0.005 on Kinetics-Sounds. One
           contrast is declared, the paper's claim for 0.005; the other doses draw the curve.
Result     --demo on ESC-10, fold 1, 8 seeds: 70 +- 4 % without, -0.3 points at 0.005 (-1.3 to 0.8,
           p 0.75): not distinguishable. No full-size result yet.
"""

from orchestrator import Component, Contrast, Level, Plan, cli, dose_series, recipes

STRENGTHS = (0.002, 0.005, 0.05, 0.2, 0.5)

PLAN = Plan(
    name="adaptor_lambda",
    question="At which strength λ does the learnable input adaptor help, if at any?",
    base=recipes.datar_tiny(),
    demo=recipes.datar_laptop(),
    arms=dose_series(
        "transform.strength",
        STRENGTHS,
        symbol="λ",
        control=Level("no adaptor"),
        shared={"transform": Component("adaptor")},
    ),
    contrasts=(Contrast("λ=0.005", "no adaptor"),),
    dose="transform.strength",
)

if __name__ == "__main__":
    cli.main(PLAN)
