"""Enlarger makes pictures bigger and proves what it did."""

__version__ = "0.1.0"
