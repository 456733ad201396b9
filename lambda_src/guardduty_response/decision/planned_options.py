"""Says by which options an incident goes on when an apply changed them after it was planned.

Its plan, and whoever approved it, said what would be done. A change may take something from that,
and adds nothing.
"""

from __future__ import annotations

from guardduty_response.decision.configuration import PlaybookOptions

_ENDINGS = ("none", "stop", "terminate")  # option ``finish``, from the mildest


def in_flight(planned: PlaybookOptions | None, present: PlaybookOptions) -> PlaybookOptions:
    """Returns the options of the steps after containment.

    They are those of the plan; of what changes something more, the milder of both. ``planned``: as
    META has them; None in records of releases before 0.2, and then ``present`` counts.
    """
    if planned is None:
        return present
    merged = {**present, **planned}
    if "finish" in merged:
        endings = (merged["finish"], present.get("finish", "none"))
        merged["finish"] = min(endings, key=_ENDINGS.index)
    if "terminate_keeps_volumes" in present:
        kept = merged["terminate_keeps_volumes"] or present["terminate_keeps_volumes"]
        merged["terminate_keeps_volumes"] = kept
    if "remediate" in merged:
        allowed = present.get("remediate") or []
        merged["remediate"] = [kind for kind in merged["remediate"] or [] if kind in allowed]
    if "rotate_key" in merged:
        merged["rotate_key"] = present.get("rotate_key") and merged["rotate_key"]
    return merged
