"""Who hears what sounds, and who hears when?

Question   Clips with 0 to 3 events at known times are mixed from clips with one class each: does
           HTS-AT's token-semantic head (arXiv 2202.00874) or CNN14 at the decision level (PANNs,
           arXiv 1912.10211) find them, by clip and by frame, does DATAR (arXiv 2312.16228) by
           clip, and does DATAR's input adaptor help any of the three?
Command    python sweeps/sound_events.py --demo --data-root ESC-10
           python -m orchestrator.report sound_events-demo-esc10 --metric val/event_f1
           The same with val/psds1, or without --data-root on made-up sounds.
Cost       --demo: 36 trials of 10 to 40 s on one CPU core.
Expected   No paper has this data. The adaptor moves features by 0.5 %: not distinguishable.
Result     No full-size result yet.
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
