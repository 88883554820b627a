"""Recipes, and what the stock lacks for them."""

from __future__ import annotations

from dataclasses import dataclass

from larder.quantity import Quantity
from larder.stock import Stock


@dataclass
class Recipe:
    title: str
    ingredients: dict[str, Quantity]


def missing_ingredients(recipe: Recipe, stock: Stock) -> dict[str, Quantity]:
    """Ingredients of `recipe` that `stock` does not cover, with the amount needed."""
    missing = {}
    for name, needed in recipe.ingredients.items():
        item = stock.find_item(name)
        if item is None or not item.quantity.covers(needed):
            missing[name] = needed
    return missing


def cook(recipe: Recipe, stock: Stock) -> None:
    """Takes every ingredient of `recipe` out of `stock`."""
    if missing_ingredients(recipe, stock):
        raise ValueError(f"cannot cook {recipe.title}: ingredients are missing")
    for name, needed in recipe.ingredients.items():
        stock.take(name, needed)
