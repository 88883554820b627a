"""The command line: list, add, take, expiring."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from larder.quantity import parse_quantity
from larder.stock import Item
from larder.storage import load_stock, save_stock


def show_expiring(path: Path, days: int) -> None:
    stock = load_stock(path)
    today = date.today()
    for item in stock.expiring_within(days, today):
        print(f"{item.name}: {item.quantity}, {item.days_left(today)} days left")


def add(path: Path, name: str, quantity: str, best_before: str | None) -> None:
    stock = load_stock(path)
    until = date.fromisoformat(best_before) if best_before else None
    stock.add_item(Item(name, parse_quantity(quantity), until))
    save_stock(stock, path)


def take(path: Path, name: str, quantity: str) -> None:
    stock = load_stock(path)
    item = stock.take(name, parse_quantity(quantity))
    save_stock(stock, path)
    print(f"{item.quantity} of {name} left")


def main() -> None:
    parser = argparse.ArgumentParser(prog="larder")
    parser.add_argument("command", choices=["expiring", "add", "take"])
    parser.add_argument("path", type=Path)
    parser.add_argument("name", nargs="?")
    parser.add_argument("quantity", nargs="?", default="1")
    parser.add_argument("--best-before")
    parser.add_argument("--days", type=int, default=7)
    args = parser.parse_args()
    if args.command == "expiring":
        show_expiring(args.path, args.days)
    elif args.command == "add":
        add(args.path, args.name, args.quantity, args.best_before)
    else:
        take(args.path, args.name, args.quantity)


if __name__ == "__main__":
    main()
