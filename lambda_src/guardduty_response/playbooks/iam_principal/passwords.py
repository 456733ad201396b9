"""Makes passwords that nobody is to know."""

from __future__ import annotations

import secrets
import string

# The classes that an account's password policy may ask for (AWS IAM User Guide).
CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "!@#$%^&*()_+-=[]{}|'")


def random_password(length: int = 64) -> str:
    """Returns ``length`` random characters, with at least one of each class. It is given to IAM
    and kept nowhere.
    """
    every_class = [secrets.choice(characters) for characters in CLASSES]
    alphabet = "".join(CLASSES)
    rest = [secrets.choice(alphabet) for _ in range(length - len(CLASSES))]
    password = every_class + rest
    secrets.SystemRandom().shuffle(password)
    return "".join(password)
