from datetime import date

import pytest

from larder.quantity import Quantity, parse_quantity
from larder.recipe import Recipe, cook, missing_ingredients
from larder.stock import Item, OutOfStock, Stock

TODAY = date(2026, 3, 1)


def kitchen() -> Stock:
    stock = Stock()
    stock.add_item(Item("milk", Quantity(1, "l"), date(2026, 3, 4)))
    stock.add_item(Item("rice", Quantity(2, "kg")))
    stock.add_item(Item("yoghurt", Quantity(500, "g"), date(2026, 3, 20)))
    return stock


def test_items_that_expire_soon_come_first():
    stock = kitchen()
    names = [item.name for item in stock.expiring_within(30, TODAY)]
    assert names == ["milk", "yoghurt"]
    assert [item.name for item in stock.expiring_within(7, TODAY)] == ["milk"]


def test_taking_too_much_is_refused():
    stock = kitchen()
    with pytest.raises(OutOfStock):
        stock.take("milk", parse_quantity("2 l"))


def test_missing_ingredients_name_what_the_stock_lacks():
    recipe = Recipe("rice pudding", {"milk": parse_quantity("500 ml"), "sugar": parse_quantity("50 g")})
    assert list(missing_ingredients(recipe, kitchen())) == ["sugar"]
    with pytest.raises(ValueError):
        cook(recipe, kitchen())
