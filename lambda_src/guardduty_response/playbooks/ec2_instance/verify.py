"""Reads everything back with a fresh session. Nothing here trusts what contain believes it did."""

from __future__ import annotations

from dataclasses import replace

from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.target_context import DONE, FAILED, describe_error, name_of
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import IN_PROGRESS, Status
from guardduty_response.playbooks.ec2_instance import action_order
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import (
    InstanceState,
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
        current = look(instance, sessions.client("ec2"), target.attach or context.incident_id)
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
    checks = _network(instance, current)
    for action in action_order.look(instance, sessions, current):
        if action.name == "tag_instance":
            continue  # a label, not containment
        status, text = action.intent()
        read = not action.enabled or action.item not in current.read_errors
        ok = not action.enabled or (read and not action.pending_change())
        text = text if ok else f"{action.name}: {'not ' * (status != FAILED)}{text}"
        checks.append(Check(action.name, ok, text, read=read))
    return replace(_conclude(instance, checks), watched=_watched(instance, current)), checks


def _watched(instance: InstanceContext, current: InstanceState) -> list[str]:
    """What a call that undoes this would name, as far as it is seen: ids, addresses, and the
    role whose sessions are denied.
    """
    profile, had = current.settings.get("profile") or {}, instance.before_state("profile") or {}
    ids = {instance.id, profile.get("association", ""), name_of(str(had.get("role") or ""))}
    ids |= {interface.id for interface in current.interfaces} | {
        address for interface in current.interfaces for address in interface.addresses
    }
    ids |= {group["GroupId"] for vpc, group in current.groups.items() if vpc in current.vpcs}
    return sorted(ids - {""})


def _network(instance: InstanceContext, current: InstanceState) -> list[Check]:
    if not current.interfaces:
        return [
            Check(
                "interfaces",
                False,
                f"no interface of {instance.id} could be read back",
                fatal=True,
                read=False,
            )
        ]
    out = []
    for interface in current.interfaces:
        ok, groups = closed(instance, current, interface), ", ".join(interface.groups) or "no group"
        text = (
            f"{interface.id} {'is in the quarantine group alone' if ok else 'is OPEN'} ({groups})"
        )
        out.append(
            Check(
                f"interface {interface.id}",
                ok,
                f"{text}; {interface.managed}" if interface.managed else text,
                not interface.managed,
            )
        )
    for part, text in current.read_errors.items():
        out.append(Check(part, False, f"{part} could not be read ({text})", read=False))
    for vpc in current.vpcs:
        if vpc in current.groups and "groups" not in current.read_errors:
            id, found = (
                current.groups[vpc]["GroupId"],
                ", ".join(open_rules(instance, current.groups[vpc])),
            )
            spared = ", ".join(rules(current.groups[vpc]))
            none = f"no rules but to endpoints ({spared})" if spared else "no rules, v4 or v6"
            out.append(
                Check(f"group {id}", not found, f"{id} has {'rules: ' + found if found else none}")
            )
    return out


def _conclude(instance: InstanceContext, checks: list[Check]) -> StepResult:
    context, target, acts = (
        instance.context,
        instance.target,
        not instance.target.attach and not instance.target.verify_only,
    )
    wrong = [check for check in checks if not check.ok]
    opened = [check for check in wrong if check.fatal]
    text = "; ".join(check.detail for check in opened or wrong)
    if wrong and target.attach and context.attempt < OWNER_ATTEMPTS:
        owner = context.record.meta(target.attach)["status"]
        if owner in IN_PROGRESS:
            return StepResult(
                done=False,
                wait_seconds=5,
                detail=f"incident {target.attach} ({owner}) is still at work: {text}",
            )
    if opened and acts and context.attempt < 3:
        return StepResult(done=False, again="contain", detail=text)
    # The ledger says it was done, so this may only be early: IAM and Auto Scaling are eventually
    # consistent.
    if (
        acts
        and context.attempt < 3
        and any(instance.logged_action(check.name).get("status") == DONE for check in wrong)
    ):
        return StepResult(done=False, wait_seconds=2, detail=f"not to be seen yet: {text}")
    if opened:
        return StepResult(status=Status.FAILED, detail=f"NOT contained: {text}")
    if wrong:
        return StepResult(
            status=Status.PARTIAL, detail=f"Partially contained. Failed checks: {text}"
        )
    return StepResult(
        status=Status.CONTAINED,
        detail=f"{len(checks)} checks passed, every interface closed for IPv4 and IPv6",
    )
