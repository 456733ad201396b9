"""Names the outbox's items: messages, their texts, and what is known of a topic."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

NOTIFICATIONS, ESCALATIONS = "notifications", "escalations"
INDEX = "outbox"


def reason_for(word: str, *distinct: str) -> str:
    """Returns why people are told: ``word``, and a hash of what makes this telling distinct.

    The same arguments give the same reason, so a repeated step writes nothing twice.
    """
    return f"{word}#{_digest(distinct)[:16]}"


def word_of(reason: str) -> str:
    """Returns the word with which a reason begins."""
    return reason.partition("#")[0]


def sort_key(topic: str, reason: str) -> str:
    """Returns the sort key of a MESSAGE item."""
    return f"MESSAGE#{topic}#{reason}"


def text_key(incident_id: str) -> str:
    """Returns the partition key of the texts of an incident's messages."""
    return f"TEXT#{incident_id}"


def topic_key(topic: str) -> str:
    """Returns the partition key of what is known of a topic."""
    return f"OUTBOX#{topic}"


def topic_arns() -> dict[str, str]:
    """Returns the topics' ARNs, escalations first. Where both are one topic, it is named once."""
    notifications = os.environ["GDR_TOPIC_ARN"]
    escalations = os.environ["GDR_ESCALATION_TOPIC_ARN"]
    if escalations == notifications:
        return {NOTIFICATIONS: notifications}
    return {ESCALATIONS: escalations, NOTIFICATIONS: notifications}


def address(topic: str) -> str:
    """Returns which topic stands in for ``topic``: an escalation topic can be taken away."""
    return topic if topic in topic_arns() else NOTIFICATIONS


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
