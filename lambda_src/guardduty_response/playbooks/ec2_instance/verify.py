"""Verifies containment with a new session: a check passes only by what is read now."""

from __future__ import annotations

from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.target_context import DONE, describe_error, name_of
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import IN_PROGRESS, Status
from guardduty_response.playbooks.ec2_instance import action_order, network
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceState, look

OWNER_ATTEMPTS = 24  # at 5 s: how long another incident's containment is waited for


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    instance = InstanceContext(context, target)
    sessions = action_order.reading(instance)
    try:
        current = look(instance, sessions.client("ec2"), stored=True)
    except TargetGone as gone:
        return StepResult(status=Status.GONE, detail=str(gone)), [
            Check("instance", True, str(gone))
        ]
    except Exception as error:
        text = (
            f"{target.id} could not be read back ({describe_error(error)}): "
            "treat it as not contained"
        )
        return StepResult(status=Status.FAILED, detail=text), [
            Check("interfaces", False, text, fatal=True, read=False)
        ]
    network_controls = network.controls(instance, sessions, current)
    not_read = [
        Check(item, False, f"{item} could not be read ({error})", read=False)
        for item, error in current.read_errors.items()
    ]
    controls = [*network_controls, *action_order.look(instance, sessions, current)]
    checks = not_read + [
        check for control in controls if not control.label for check in control.checks()
    ]
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
    context, target = instance.context, instance.target
    acts = not target.attach and not target.verify_only
    failed = [check for check in checks if not check.ok]
    fatal = [check for check in failed if check.fatal]
    text = "; ".join(check.detail for check in fatal or failed)
    if failed and target.attach and context.attempt < OWNER_ATTEMPTS:
        owner = context.record.meta(target.attach)["status"]
        if owner in IN_PROGRESS:
            detail = f"incident {target.attach} ({owner}) is still at work: {text}"
            return StepResult(done=False, wait_seconds=5, detail=detail)
    if acts and context.attempt < 3:
        if fatal:
            return StepResult(done=False, again="contain", detail=text)
        # Logged as done, so this may only be early: IAM and Auto Scaling are eventually consistent.
        if any(instance.logged_action(check.name).get("status") == DONE for check in failed):
            return StepResult(done=False, wait_seconds=2, detail=f"not to be seen yet: {text}")
    if fatal:
        return StepResult(status=Status.FAILED, detail=f"NOT contained: {text}")
    if failed:
        detail = f"Partially contained. Failed checks: {text}"
        return StepResult(status=Status.PARTIAL, detail=detail)
    detail = f"{len(checks)} checks passed, every interface closed for IPv4 and IPv6"
    return StepResult(status=Status.CONTAINED, detail=detail)
