"""The papers' recipes by name."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.recipes.ast import PAPERS as AST
from orchestrator.recipes.datar import PAPERS as DATAR
from orchestrator.recipes.htsat import PAPERS as HTSAT
from orchestrator.recipes.kwt import PAPERS as KWT
from orchestrator.recipes.panns import PAPERS as PANNS
from orchestrator.recipes.psla import PAPERS as PSLA
from orchestrator.recipes.recipe import Recipe

PAPERS: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in (*AST, *HTSAT, *PANNS, *PSLA, *DATAR, *KWT)
}
"""Name of the function in `orchestrator.recipes` -> the recipe."""
