"""What to buy before cooking."""

from __future__ import annotations

from larder.quantity import Quantity
from larder.recipe import Recipe, missing_ingredients
from larder.stock import Stock


def shopping_list(recipes: list[Recipe], stock: Stock) -> dict[str, Quantity]:
    """Everything that is missing for any of `recipes`, the largest amount of each."""
    wanted: dict[str, Quantity] = {}
    for recipe in recipes:
        missing = missing_ingredients(recipe, stock)
        for name, needed in missing.items():
            if name not in wanted or needed.covers(wanted[name]):
                wanted[name] = needed
    return wanted
