"""How IAM and STS count the size of policies: for MiniStack in the sandbox, for moto in unit tests.

Sources: IAM User Guide, "IAM and AWS STS quotas"; STS API Reference, AssumeRole. Imports nothing
of either emulator.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

# Characters of all inline policies of a principal together; white space is not counted.
INLINE = {"user": 2048, "role": 10240, "group": 5120}
# Managed policies attached to a principal (a quota that can be raised to 20).
ATTACHED = 10
# AWS publishes neither the packed format nor its limit, only percentages of examples. The estimate
# is the zlib-compressed size of policy, policy ARNs and tags in percent of 1,700 bytes: with these,
# the two examples of the STS API Reference (AssumeRole and GetFederationToken with an inline policy
# and tags) come to the 8 % that AWS says they are.
# Percentages that people reported are higher; the response splits its sessions by those
# (docs/decisions/0002), so it stays far below this.
PACKED_BYTES = 1700


def inline_size(documents: Iterable[object]) -> int:
    """Return the characters of inline policies as IAM counts them."""
    return sum(len("".join(str(document).split())) for document in documents)


def too_long(kind: str, name: str, documents: Iterable[object]) -> str:
    """Return IAM's message about inline policies that are too long together, or an empty text."""
    if inline_size(documents) <= INLINE[kind]:
        return ""
    return f"Maximum policy size of {INLINE[kind]} bytes exceeded for {kind} {name}"


def packed_percent(policy: str, others: Iterable[str] = ()) -> int:
    """Return the estimated PackedPolicySize; ``others``: policy ARNs, keys and values of tags."""
    text = policy + "".join(others)
    return len(zlib.compress(text.encode(), 9)) * 100 // PACKED_BYTES if text else 0
