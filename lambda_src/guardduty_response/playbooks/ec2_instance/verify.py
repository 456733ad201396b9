"""Verifies containment with a new session: a check passes only by what is read now."""

from __future__ import annotations

from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.target_context import (
    DONE,
    FAILED,
    Json,
    describe_error,
    name_of,
)
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import IN_PROGRESS, Status
from guardduty_response.playbooks.ec2_instance import action_order
from guardduty_response.playbooks.ec2_instance.actions import Action
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import (
    InstanceState,
    Interface,
    closed,
    look,
    open_rules,
    rules,
)

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
    checks = _network_checks(instance, current)
    for action in action_order.look(instance, sessions, current):
        if action.name != "tag_instance":  # a label, not containment
            checks.append(_action_check(action))
    step = _conclude(instance, checks)._replace(watched=_watched(instance, current))
    return step, checks


def _action_check(action: Action) -> Check:
    status, text = action.intent()
    read = not action.enabled or action.item not in action.state.read_errors
    ok = not action.enabled or (read and not action.pending_change())
    if not ok:
        text = f"{action.name}: {text}" if status == FAILED else f"{action.name}: not {text}"
    return Check(action.name, ok, text, read=read)


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


def _network_checks(instance: InstanceContext, current: InstanceState) -> list[Check]:
    if not current.interfaces:
        text = f"no interface of {instance.id} could be read back"
        return [Check("interfaces", False, text, fatal=True, read=False)]
    checks = [_interface_check(instance, current, interface) for interface in current.interfaces]
    checks += _detached_checks(instance, current)
    for item, error in current.read_errors.items():
        checks.append(Check(item, False, f"{item} could not be read ({error})", read=False))
    for vpc in current.vpcs:
        if vpc in current.groups and "groups" not in current.read_errors:
            checks.append(_group_check(instance, current.groups[vpc]))
    return checks


def _interface_check(
    instance: InstanceContext, current: InstanceState, interface: Interface
) -> Check:
    ok = closed(instance, current, interface)
    state = "is in the quarantine group alone" if ok else "is OPEN"
    text = f"{interface.id} {state} ({', '.join(interface.groups) or 'no group'})"
    if interface.managed:
        text = f"{text}; {interface.managed}"
    return Check(f"interface {interface.id}", ok, text, fatal=not interface.managed)


def _detached_checks(instance: InstanceContext, current: InstanceState) -> list[Check]:
    """Passes for interfaces that were open at the verdict and are no longer the instance's."""
    if "interfaces" in current.read_errors:
        return []
    kind = "interface "
    gone = {name for name in instance.stored.get("weak") or [] if name.startswith(kind)}
    gone -= {f"{kind}{interface.id}" for interface in current.interfaces}
    return [
        Check(name, True, f"{name.removeprefix(kind)} is not attached to the instance any more")
        for name in sorted(gone)
    ]


def _group_check(instance: InstanceContext, group: Json) -> Check:
    id = group["GroupId"]
    if wrong := ", ".join(open_rules(instance, group)):
        return Check(f"group {id}", False, f"{id} has rules: {wrong}")
    to_endpoints = ", ".join(rules(group))
    none = f"no rules but to endpoints ({to_endpoints})" if to_endpoints else "no rules, v4 or v6"
    return Check(f"group {id}", True, f"{id} has {none}")


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
