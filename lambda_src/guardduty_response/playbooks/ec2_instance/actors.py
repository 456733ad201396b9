"""Finds who undid the containment of an instance: which calls can have, and which CloudTrail
queries find them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.cloudtrail import actors
from guardduty_response.containment.chained_denial import ChainedDenial
from guardduty_response.containment.contract import Check
from guardduty_response.containment.control import AnyControl
from guardduty_response.containment.target_context import name_of
from guardduty_response.playbooks.ec2_instance.action_order import CONTROLS
from guardduty_response.playbooks.ec2_instance.former_sessions import FormerSessions
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent

# What can undo each check, by the check's name up to its first space.
# playbooks/ec2_instance/undoing-calls.json, from which the event rule is made, lists the same calls
# (a test compares).
_KINDS: tuple[type[AnyControl], ...] = (*CONTROLS, FormerSessions, ChainedDenial)
CALLS: actors.Calls = {
    control.check_name or control.name: control.undone_by for control in _KINDS if not control.label
}


def find(
    instance: InstanceContext,
    failed: list[Check],
    since: str,
    seen: ChangeEvent | None,
    watched: list[str],
) -> list[ChangeEvent]:
    """Finds as cloudtrail.actors.find_actors does; ``watched`` as the record keeps it."""
    named = {check.name.split(" ")[1] for check in failed if " " in check.name}
    ids = {instance.id, *watched, *named}
    queries = _queries(instance, failed)
    return actors.find_actors(instance, CALLS, queries, failed, since, seen, ids)


def _queries(instance: InstanceContext, failed: list[Check]) -> list[tuple[str, str, str]]:
    """Returns (Region, attribute, value) of LookupEvents: by the resources' names first, then by
    the calls' names where AWS may record no resource.
    """
    region, iam_region = instance.target.region, actors.iam_region(instance)
    queries: list[tuple[str, str, str]] = []
    for check in failed:
        kind, _, id = check.name.partition(" ")
        if kind in ("interface", "group"):
            queries.append((region, "ResourceName", id))
        elif kind in (ChainedDenial.name, FormerSessions.name):
            queries += [(iam_region, "ResourceName", id)] * bool(id)
        elif kind == "revoke_sessions":
            profile = instance.read_stored()["before"].get("profile") or {}
            if role := name_of(str(profile.get("role") or "")):
                queries.append((iam_region, "ResourceName", role))
        elif kind in CALLS:
            queries.append((region, "ResourceName", instance.id))
    for check in failed:
        kind = check.name.split(" ")[0]
        of_iam = kind in ("revoke_sessions", FormerSessions.name, ChainedDenial.name)
        where = iam_region if of_iam else region
        queries += [(where, "EventName", call) for call in CALLS.get(kind, ())]
    return queries
