"""Stock on disk, as JSON."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from larder.quantity import parse_quantity
from larder.stock import Item, Stock


def load_stock(path: Path) -> Stock:
    stock = Stock()
    if not path.exists():
        return stock
    for entry in json.loads(path.read_text()):
        best_before = date.fromisoformat(entry["best_before"]) if entry.get("best_before") else None
        stock.add_item(Item(entry["name"], parse_quantity(entry["quantity"]), best_before))
    return stock


def save_stock(stock: Stock, path: Path) -> None:
    entries = [
        {
            "name": item.name,
            "quantity": str(item.quantity),
            "best_before": item.best_before.isoformat() if item.best_before else None,
        }
        for item in stock.items.values()
    ]
    path.write_text(json.dumps(entries, indent=2))
