"""Compares a text with a glob, a pattern in which ``*`` stands for any run of characters."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def _regex(glob: str) -> re.Pattern[str]:
    literals = [re.escape(literal) for literal in glob.split("*")]
    return re.compile(".*".join(literals), re.DOTALL)


def matches(glob: str, text: str) -> bool:
    """Tells whether ``text`` matches: ``*`` is any run of characters, all else is literal."""
    return _regex(glob).fullmatch(text) is not None
