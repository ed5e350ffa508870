"""The data set of a plan, as papers name it, and whether two plans share it."""

from __future__ import annotations

from orchestrator.records import PlanRecord

ESC10_CLASSES: frozenset[str] = frozenset(
    "dog rooster rain sea_waves crackling_fire crying_baby sneezing clock_tick helicopter "
    "chainsaw".split()
)
ESC50_CLASSES: frozenset[str] = ESC10_CLASSES | frozenset(
    "pig cow frog cat hen insects sheep crow crickets chirping_birds water_drops wind "
    "pouring_water toilet_flush thunderstorm clapping breathing coughing footsteps laughing "
    "brushing_teeth snoring drinking_sipping door_wood_knock mouse_click keyboard_typing "
    "door_wood_creaks can_opening washing_machine vacuum_cleaner clock_alarm glass_breaking siren "
    "car_horn engine train church_bells airplane fireworks hand_saw".split()
)
"""The categories of Piczak, "ESC: Dataset for Environmental Sound Classification" (2015)."""

ESC_CLIPS_PER_CLASS = 40
_ESC = {"esc10": ESC10_CLASSES, "esc50": ESC50_CLASSES}


def dataset_name(plan: PlanRecord) -> str:
    """Return the data set's name as stored in the plan."""
    return str(plan.dataset.get("name") or plan.settings.get("dataset") or "")


def known_dataset(plan: PlanRecord) -> str:
    """Return the name of a plan's data set in papers.

    `esc` reads any folder laid out like ESC-50, so its classes and clips decide: `esc50`, `esc10`,
    or `esc layout with 50 classes` for the user's own data. If the plan recorded no classes, it
    stays `esc`.
    """
    name, classes = dataset_name(plan), _classes(plan)
    if name != "esc" or not classes:
        return name
    for known, published in _ESC.items():
        full = num_clips(plan) in (None, ESC_CLIPS_PER_CLASS * len(published))
        if full and len(classes) == len(published) and published == frozenset(classes):
            return known
    return f"esc layout with {len(classes)} classes"


def is_esc(plan: PlanRecord) -> bool:
    """Return whether a plan uses the real ESC-50 or ESC-10."""
    return dataset_name(plan) == "esc" and known_dataset(plan) in _ESC


def num_clips(plan: PlanRecord) -> int | None:
    """Return the number of clips, including those dropped as broken; None if unknown."""
    kept = plan.dataset.get("num_clips")
    return None if kept is None else int(kept) + len(plan.dataset.get("dropped") or ())


def num_folds(plan: PlanRecord) -> int | None:
    """Return the number of folds of the data set, not just those in the plan; None if unknown."""
    planned = {trial.fold for trial in plan.trials}
    return len({*plan.dataset["folds"], *planned}) if plan.dataset.get("folds") else None


def same_data(one: PlanRecord, other: PlanRecord) -> bool:
    """Return whether two plans share a data set: the same pack, or packs of the same clips.

    Packs of one data set with different arguments, such as the sample rate, have different
    fingerprints. Between packs with the same arguments, a different fingerprint means different
    data; otherwise only together with different classes or another number of clips. Facts that a
    plan did not record are ignored.
    """
    packs = [str(plan.dataset.get("fingerprint") or "") for plan in (one, other)]
    if packs[0] and packs[0] == packs[1]:
        return True
    arguments = [_arguments(plan) for plan in (one, other)]
    if all(packs) and arguments[0] and arguments[0] == arguments[1]:
        return False
    contents = ((dataset_name(p), sorted(_classes(p)), num_clips(p)) for p in (one, other))
    return all(not a or not b or a == b for a, b in zip(*contents, strict=True))


def _classes(plan: PlanRecord) -> tuple[str, ...]:
    return tuple(plan.dataset.get("class_names") or ())


def _arguments(plan: PlanRecord) -> dict[str, object]:
    """Return the arguments of a plan's pack without its fingerprint; empty if not recorded."""
    head = "dataset."
    arguments = {key: value for key, value in plan.settings.items() if key.startswith(head)}
    arguments.pop(f"{head}fingerprint", None)
    return arguments
