"""Verifies containment with a new session: a check passes only by what is read now."""

from __future__ import annotations

from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.target_context import DONE, describe_error, name_of
from guardduty_response.containment.verdict import reasons, verdict, wait_for_owner
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import action_order
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceState, look

OWNER_ATTEMPTS = 24  # at 5 s: how long another incident's containment is waited for


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    instance = InstanceContext(context, target)
    sessions = action_order.reading(instance)
    try:
        current = look(instance, sessions.client("ec2"), stored=True)
    except TargetGone as gone:
        gone_check = Check("instance", True, str(gone))
        return StepResult(status=Status.GONE, detail=str(gone)), [gone_check]
    except Exception as error:
        why = f"could not be read back ({describe_error(error)})"
        text = f"{target.id} {why}: treat it as not contained"
        not_read = Check("interfaces", False, text, fatal=True, read=False)
        return StepResult(status=Status.FAILED, detail=text), [not_read]
    checks = [
        Check(item, False, f"{item} could not be read ({error})", read=False)
        for item, error in current.read_errors.items()
    ]
    for control in action_order.look(instance, sessions, current):
        if not control.label:
            checks += control.checks()
    step = _conclude(instance, checks)._replace(watched=_watched(instance, current))
    return step, checks


def _watched(instance: InstanceContext, current: InstanceState) -> list[str]:
    """Returns what a call that undoes this would name, as far as it is seen: ids, addresses, the
    names of the quarantine groups (in a default VPC a call may give these), and the role whose
    sessions are denied.
    """
    profile = current.settings.get("profile") or {}
    before = instance.before_state("profile") or {}
    ids = {instance.id, profile.get("association", ""), name_of(str(before.get("role") or ""))}
    for interface in current.interfaces:
        ids |= {interface.id, *interface.addresses}
    for vpc in current.groups.keys() & current.vpcs:
        ids |= {current.groups[vpc]["GroupId"], current.groups[vpc].get("GroupName", "")}
    return sorted(ids - {""})


def _conclude(instance: InstanceContext, checks: list[Check]) -> StepResult:
    if waiting := wait_for_owner(instance, checks, OWNER_ATTEMPTS):
        return waiting
    failed = [check for check in checks if not check.ok]
    acts = not instance.target.attach and not instance.target.verify_only
    if acts and instance.context.attempt < 3:
        if any(check.fatal for check in failed):
            return StepResult(done=False, again="contain", detail=reasons(checks))
        # Logged as done, so this may only be early: IAM and Auto Scaling are eventually consistent.
        if any(instance.logged_action(check.name).get("status") == DONE for check in failed):
            detail = f"not to be seen yet: {reasons(checks)}"
            return StepResult(done=False, wait_seconds=2, detail=detail)
    contained = f"{len(checks)} checks passed, every interface closed for IPv4 and IPv6"
    return verdict(checks, contained)
