"""What is in the kitchen right now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

from larder.quantity import Quantity


@dataclass
class Item:
    name: str
    quantity: Quantity
    best_before: date | None = None

    def days_left(self, today: date) -> int | None:
        if self.best_before is None:
            return None
        return (self.best_before - today).days


class OutOfStock(Exception):
    """More was asked for than there is."""


@dataclass
class Stock:
    items: dict[str, Item] = field(default_factory=dict)

    def add_item(self, item: Item) -> None:
        self.items[item.name] = item

    def find_item(self, name: str) -> Item | None:
        return self.items.get(name)

    def take(self, name: str, wanted: Quantity) -> Item:
        """Takes `wanted` out of the stock.

        Raises OutOfStock if there is not enough of it.
        """
        item = self.find_item(name)
        if item is None or not item.quantity.covers(wanted):
            raise OutOfStock(f"not enough {name}: {wanted} wanted")
        item.quantity = item.quantity.minus(wanted)
        return item

    def expiring_within(self, days: int, today: date) -> list[Item]:
        """Items whose best-before date is at most `days` away, soonest first."""
        limit = today + timedelta(days=days)
        due = [item for item in self.items.values() if item.best_before and item.best_before <= limit]
        return sorted(due, key=lambda item: item.best_before)
