"""Passwords that nobody is to know."""

from __future__ import annotations

import secrets
import string

# AWS IAM, password policy
CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "!@#$%^&*()_+-=[]{}|'")


def drawn(length: int = 64) -> str:
    """Random characters, of every class that a password policy may ask for. It is given to IAM
    and forgotten.
    """
    out = [secrets.choice(one) for one in CLASSES] + [
        secrets.choice("".join(CLASSES)) for _ in range(length - len(CLASSES))
    ]
    secrets.SystemRandom().shuffle(out)
    return "".join(out)
