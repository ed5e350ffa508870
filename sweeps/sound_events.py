# PYTHON_ARGCOMPLETE_OK
"""Who hears what sounds, and who hears when?

Question   Clips with 0 to 3 events at known times are mixed from clips with one class each: does
           HTS-AT's token-semantic head (arXiv 2202.00874) or CNN14 at the decision level (PANNs,
           arXiv 1912.10211) find them, by clip and by frame, does DATAR (arXiv 2312.16228) by
           clip, and does DATAR's input adaptor help any of the three?
Command    python sweeps/sound_events.py --demo --data-root ESC-10
           The same with --arms "HTS-AT, plain" "CNN14, plain", which trains nothing again, then
           python -m orchestrator.report SWEEP --metric val/event_f1   (or val/psds1)
Cost       --demo: 48 trials of 10 to 60 s on one CPU core.
Expected   No paper has these data. DATAR has no frame head.
Result     --demo on ESC-10, fold 1, --seeds 6. mAP by clip (chance 0.20): DATAR 0.355 +- 0.023,
           HTS-AT 0.42 +- 0.06, CNN14 0.50 +- 0.04; the adaptor +0.005 (-0.010 to 0.020), +0.01
           (-0.18 to 0.20) and -0.002 (-0.038 to 0.033); no contrast is distinguishable after
           correction. By frame, CNN14 - HTS-AT: event F1 -1.6 points of 3.5 % (-3.9 to 0.3, p
           0.062), PSDS 1 -0.008 of 0.010 (-0.026 to 0.001, p 0.19). All need a seventh seed.
"""

import dataclasses

from orchestrator import Component, Contrast, Factor, Level, Plan, cli, full_factorial, recipes
from orchestrator.recipes.families import DATAR, HTSAT, Family, log_mel

CNN14 = Family(
    name="CNN14",
    full=Component("cnn14_decision_level_att"),
    laptop=Component("cnn14_decision_level_att_laptop"),
    frontend=log_mel,
)
BCE = Component("binary_cross_entropy")
FRAMES = {"loss": Component("frame_binary_cross_entropy", clip_weight=0.5)}
LARGE = Component("mixtures", num_clips=10_000, seconds=10.0, sample_rate=44100)
MODEL = Factor(
    "model",
    (DATAR.level, *(Level(f.name, {**f.changes, **FRAMES}) for f in (HTSAT, CNN14))),
)
INPUT = Factor(
    "input",
    (Level("plain"), Level("adaptor", {"transform": Component("adaptor", strength=0.005)})),
)

PLAN = Plan(
    name="sound_events",
    question="Which model hears several sounds at once, and when?",
    base=dataclasses.replace(recipes.datar_tiny(), dataset=LARGE, loss=BCE),
    demo=dataclasses.replace(
        recipes.datar_laptop(), dataset=Component("mixtures"), loss=BCE, epochs=20
    ),
    metric="val/map",
    arms=full_factorial(MODEL, INPUT),
    contrasts=(
        *(Contrast(f"{f.name}, adaptor", f"{f.name}, plain") for f in (DATAR, HTSAT, CNN14)),
        Contrast("HTS-AT, plain", "DATAR, plain"),
        Contrast("CNN14, plain", "HTS-AT, plain"),
    ),
)

if __name__ == "__main__":
    cli.main(PLAN)
