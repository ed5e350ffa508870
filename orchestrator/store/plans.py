"""The half of the store that keeps what was declared."""

from __future__ import annotations

from orchestrator.errors import StoreError, unknown
from orchestrator.records import PlanRecord
from orchestrator.store import forms
from orchestrator.store.files import Files


class PlanShelf:
    """Plans and their history; see `Store`."""

    def __init__(self, files: Files, uri: str):
        self.files = files
        self.uri = uri

    def write_plan(self, plan: PlanRecord) -> PlanRecord:
        """Store a declaration and add it to the sweep's history.

        A plan that asks the same as the stored one leaves that one, with its time and command, as
        it is.

        Returns:
            What the store holds now: the plan, or the equal one that was declared before.

        Raises:
            StoreError: it cannot be written, or the store keeps the name for another pack.
        """
        current = self.read_plan(plan.sweep)
        if current is not None and forms.same_declaration(current, plan):
            return current
        if current is not None:
            _refuse_another_pack(current, plan)
        folder = forms.sweep_folder(plan.sweep)
        self.files.append(f"{folder}/plans.jsonl", forms.dump(plan) + b"\n")
        self.files.write(f"{folder}/plan.json", forms.dump(plan, indent=1))
        return plan

    def read_plan(self, sweep: str) -> PlanRecord | None:
        """Return a sweep's latest declaration, or None where there is none.

        Raises:
            StoreError: it is damaged.
        """
        path = f"{forms.sweep_folder(sweep)}/plan.json"
        data = self.files.read(path)
        return None if data is None else forms.parse_plan(data, where=self.files.where(path))

    def require_plan(self, sweep: str) -> PlanRecord:
        """Return a sweep's latest declaration.

        Raises:
            StoreError: there is no such sweep; names those that are there.
        """
        plan = self.read_plan(sweep)
        if plan is None:
            hint = f"The store is {self.uri}; another is given with --store."
            raise StoreError(unknown("sweep", sweep, self.sweeps(), hint=hint))
        return plan

    def read_plans(self, sweep: str) -> list[PlanRecord]:
        """Return every declaration of a sweep, the first one first."""
        path = f"{forms.sweep_folder(sweep)}/plans.jsonl"
        lines = (self.files.read(path) or b"").splitlines()
        return [forms.parse_plan(line, where=self.files.where(path)) for line in lines]

    def sweeps(self) -> list[str]:
        """Return the names of the sweeps that were declared, sorted."""
        names = self.files.names("sweeps")
        versions = self.files.versions([f"sweeps/{name}/plan.json" for name in names])
        return [name for name, version in zip(names, versions, strict=True) if version]


def _refuse_another_pack(current: PlanRecord, plan: PlanRecord) -> None:
    packs = [str(one.dataset.get("fingerprint") or "") for one in (current, plan)]
    if all(packs) and packs[0] != packs[1]:
        raise StoreError(
            f"sweep {plan.sweep} in the store is of {current.pack}, and this plan of {plan.pack}; "
            "a plan is not overwritten by that of another pack: run it under another name"
        )
