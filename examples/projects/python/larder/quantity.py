"""Amounts with a unit, and conversions between units of one kind."""

from __future__ import annotations

from dataclasses import dataclass

# Grams for masses, millilitres for volumes, pieces for everything that is counted.
FACTORS = {"g": ("mass", 1.0), "kg": ("mass", 1000.0), "ml": ("volume", 1.0), "l": ("volume", 1000.0), "pcs": ("count", 1.0)}


class UnitMismatch(ValueError):
    """Two quantities are not of the same kind."""


@dataclass(frozen=True)
class Quantity:
    amount: float
    unit: str

    @property
    def kind(self) -> str:
        return FACTORS[self.unit][0]

    def in_base_units(self) -> float:
        return self.amount * FACTORS[self.unit][1]

    def minus(self, other: Quantity) -> Quantity:
        """What is left when `other` is taken away; never below zero."""
        if self.kind != other.kind:
            raise UnitMismatch(f"cannot take {other} from {self}")
        factor = FACTORS[self.unit][1]
        left = max(0.0, self.in_base_units() - other.in_base_units())
        return Quantity(left / factor, self.unit)

    def covers(self, other: Quantity) -> bool:
        return self.kind == other.kind and self.in_base_units() >= other.in_base_units()

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


def parse_quantity(text: str) -> Quantity:
    """Reads "250 g", "1.5 l" or "3"."""
    amount, _, unit = text.strip().partition(" ")
    return Quantity(float(amount), unit or "pcs")
