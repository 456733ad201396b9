"""How IAM and STS count policies: for MiniStack in the sandbox, for moto in unit tests.

Sources: IAM User Guide, "IAM and AWS STS quotas"; STS API Reference, AssumeRole. Imports nothing
of either emulator.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping

# Characters of all inline policies of a principal together; white space is not counted.
INLINE = {"user": 2048, "role": 10240, "group": 5120}
# Managed policies attached to a principal (a quota that can be raised to 20).
ATTACHED = 10
# Bytes of DEFLATE that are 100 % of the packed size. AWS publishes neither the packed format nor
# its limit: docs/decisions/0002 states what is assumed, for the response and for this.
PACKED_BYTES = 460


def inline_size(documents: Iterable[object]) -> int:
    """Return the characters of inline policies as IAM counts them."""
    return sum(len("".join(str(document).split())) for document in documents)


def too_long(kind: str, name: str, inline: Mapping[str, object], put: Mapping[str, object]) -> str:
    """Return IAM's message when the policies ``put`` and the other ``inline`` ones are too long
    together, or an empty text. Both have documents by the policy's name; ``kind``: of ``INLINE``.
    """
    if inline_size({**inline, **put}.values()) <= INLINE[kind]:
        return ""
    return f"Maximum policy size of {INLINE[kind]} bytes exceeded for {kind} {name}"


def too_many(kind: str, attached: Collection[str], arn: str) -> str:
    """Return IAM's message when a principal with the managed policies ``attached`` (ARNs) cannot
    hold ``arn`` too, or an empty text. ``kind``: of ``INLINE``.
    """
    if arn in attached or len(attached) < ATTACHED:
        return ""
    return f"Cannot exceed quota for PoliciesPer{kind.title()}: {ATTACHED}"


def packed_percent(policy: str, others: Iterable[str] = ()) -> int:
    """Return the estimated PackedPolicySize, rounded up. ``policy``: JSON, as it is sent;
    ``others``: policy ARNs, keys and values of tags.
    """
    text = policy + "".join(others)
    return -(-len(zlib.compress(text.encode(), 9)) * 100 // PACKED_BYTES) if text else 0
