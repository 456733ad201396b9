"""Verifies containment with a new session: a check passes only by what is read now."""

from __future__ import annotations

from guardduty_response.aws.errors import describes_transient, is_transient
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.target_context import (
    ALREADY,
    AWS_ERRORS,
    DONE,
    FAILED,
    SKIPPED,
    Json,
    describe_error,
    name_of,
)
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import IN_PROGRESS, Status
from guardduty_response.playbooks.ec2_instance import action_order
from guardduty_response.playbooks.ec2_instance.actions import Action
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.network import interfaces_before
from guardduty_response.playbooks.ec2_instance.state import (
    InstanceState,
    Interface,
    closed,
    look,
    open_rules,
    rules,
)

ATTEMPTS = 3  # of containing what failed
# Of looking for what was done, and of reading what was throttled: AWS may show a change seconds
# later (EC2 Developer Guide, "Eventual consistency in the Amazon EC2 API").
LATE_ATTEMPTS = 8
LATE_SECONDS = 2
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
        check = Check("interfaces", False, text, fatal=True, read=False)
        late = context.attempt < LATE_ATTEMPTS and not target.verify_only
        if late and isinstance(error, AWS_ERRORS) and is_transient(error):
            return StepResult(done=False, wait_seconds=LATE_SECONDS, detail=text), [check]
        return StepResult(status=Status.FAILED, detail=text), [check]
    checks = _network_checks(instance, current)
    for action in action_order.look(instance, sessions, current):
        if _acts(target):
            action.correct_log()
        if action.name != "tag_instance":  # a label, not containment
            checks.append(_action_check(action))
    step = _conclude(instance, checks)._replace(watched=_watched(instance, current))
    return step, checks


def _acts(target: Target) -> bool:
    """Says whether this incident contains the instance itself."""
    return not target.attach and not target.verify_only


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
    failed = [check for check in checks if not check.ok]
    fatal = [check for check in failed if check.fatal]
    text = "; ".join(check.detail for check in fatal or failed)
    if failed and target.attach and context.attempt < OWNER_ATTEMPTS:
        owner = context.record.meta(target.attach)["status"]
        if owner in IN_PROGRESS:
            detail = f"incident {target.attach} ({owner}) is still at work: {text}"
            return StepResult(done=False, wait_seconds=5, detail=detail)
    if _acts(target) and (not_yet := _not_yet(instance, failed, text)):
        return not_yet
    if fatal:
        return StepResult(status=Status.FAILED, detail=f"NOT contained: {text}")
    if failed:
        detail = f"Partially contained. Failed checks: {text}"
        return StepResult(status=Status.PARTIAL, detail=detail)
    detail = f"{len(checks)} checks passed, every interface closed for IPv4 and IPv6"
    return StepResult(status=Status.CONTAINED, detail=detail)


def _not_yet(instance: InstanceContext, failed: list[Check], text: str) -> StepResult | None:
    """Says why it is too early for a verdict: contain once more, or read once more."""
    attempt = instance.context.attempt
    early = [check for check in failed if _is_early(instance, check)]
    is_open = any(check.fatal and check not in early for check in failed)
    throttled = any(_was_throttled(instance, check) for check in failed)
    missed = any(check.read and _was_not_needed(instance, check) for check in failed)
    if (is_open or throttled or missed) and attempt < ATTEMPTS:
        wait = LATE_SECONDS if throttled else 0
        return StepResult(done=False, again="contain", wait_seconds=wait, detail=text)
    if early and not is_open and attempt < LATE_ATTEMPTS:
        # Every second time what looks open is closed once more: it may have been opened meanwhile.
        looks_open = any(check.fatal and check.read for check in early)
        again = "contain" if looks_open and attempt % 2 == 0 else ""
        detail = f"not to be seen yet: {text}"
        return StepResult(done=False, again=again, wait_seconds=LATE_SECONDS, detail=detail)
    return None


def _is_early(instance: InstanceContext, check: Check) -> bool:
    """Says whether a check may only have been made too early: what it looks for is logged as done,
    and EC2, IAM and Auto Scaling are eventually consistent. Or it was throttled.
    """
    if not check.read:
        return describes_transient(check.detail)
    kind, _, id = check.name.partition(" ")
    if kind == "interface" and id not in interfaces_before(instance.stored.get("before") or {}):
        return False  # attached since
    return _logged(instance, check).get("status") == DONE


def _was_not_needed(instance: InstanceContext, check: Check) -> bool:
    """Says whether containing saw nothing to do for what a check misses: it read too early, or
    somebody changed it since.
    """
    return _logged(instance, check).get("status") in (ALREADY, SKIPPED)


def _was_throttled(instance: InstanceContext, check: Check) -> bool:
    """Says whether the action that a check is about failed of an error that passes."""
    logged = _logged(instance, check)
    return logged.get("status") == FAILED and describes_transient(str(logged.get("detail")))


def _logged(instance: InstanceContext, check: Check) -> Json:
    """Returns the entry of the action log that a check is about."""
    actions = {"interface": "quarantine_network", "group": "strip_group_rules"}
    return instance.logged_action(actions.get(check.name.partition(" ")[0], check.name))
