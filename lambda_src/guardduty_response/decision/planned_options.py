"""Says by which options an incident goes on when an apply changed them after it was planned.

Its plan, and whoever approved it, said what would be done. A change may take something from that,
and adds nothing. What was contained is verified, contained again and restored by what it was
contained with: another setting neither undoes it nor shows that somebody has.
"""

from __future__ import annotations

from typing import TypedDict

from guardduty_response.decision.configuration import Config, PlaybookOptions

_ENDINGS = ("none", "stop", "terminate")  # option ``finish``, from the mildest
_SINCE_0_2 = frozenset({"disable_metadata"})  # switches that releases before did not have
# What restoring alone does: whoever restores decides it. And where Identity Center is by now: that
# says where a containment is read, not what it is.
_OF_NOW = ("restore", "reattach_auto_scaling", "identity_center")


class ContainedWith(TypedDict, total=False):
    """Declares what a verdict went by (stored with the containment).

    ``options``: of the playbook. ``forensics_when``: whether endpoint rules are spared.
    ``log_window_minutes``: how long before the finding its time range begins.
    """

    options: PlaybookOptions
    forensics_when: str
    log_window_minutes: int


def in_flight(planned: PlaybookOptions | None, present: PlaybookOptions) -> PlaybookOptions:
    """Returns the options of the steps after containment.

    They are those of the plan; of what changes something more, the milder of both. ``planned``: as
    META has them; None in records of releases before 0.2, and then ``present`` counts.
    """
    if planned is None:
        return dict(present)
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


def contained_with(config: Config, options: PlaybookOptions) -> ContainedWith:
    """Returns what is stored of the configuration with a verdict."""
    return {
        "options": options,
        "forensics_when": config.forensics["when"],
        "log_window_minutes": int(config.evidence.get("log_window_minutes") or 60),
    }


def of_containment(
    stored: ContainedWith | None, planned: PlaybookOptions | None, present: PlaybookOptions
) -> ContainedWith:
    """Returns what a containment is verified by, contained again and restored.

    ``stored``: what was stored with its verdict; without it, the options that its incident planned
    with count (``planned``), and in records of releases before 0.2 those of now. A switch that
    these did not know is off: nothing was contained by it.
    """
    known: ContainedWith = stored or {}
    if "options" in known:
        planned = known["options"]
    options = in_flight(planned, present)
    new = _SINCE_0_2 if planned is None else present.keys() - planned.keys()
    options |= {name: False for name in new if options.get(name) is True}
    options |= {name: present[name] for name in _OF_NOW if name in present}
    return {**known, "options": options}


def as_contained(config: Config, known: ContainedWith) -> Config:
    """Returns the configuration with what ``known`` says of it; the policy is that of now."""
    forensics, evidence = config.forensics, config.evidence
    if when := known.get("forensics_when"):
        forensics = {**forensics, "when": when}
    if minutes := known.get("log_window_minutes"):
        evidence = {**evidence, "log_window_minutes": int(minutes)}
    return config._replace(forensics=forensics, evidence=evidence)
