"""Holds the outbox: messages to people are written first, then sent (docs/decisions/0031)."""
