"""Reads everything back with a fresh session. Nothing here trusts what contain believes it did."""

from __future__ import annotations

from dataclasses import replace

from guardduty_response.containment.contract import Check, Context, Step, Target
from guardduty_response.containment.target_context import DONE, FAILED, name_of, why
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import IN_PROGRESS, Status
from guardduty_response.playbooks.ec2_instance import action_order
from guardduty_response.playbooks.ec2_instance.instance_context import Work
from guardduty_response.playbooks.ec2_instance.state import Facts, closed, look, open_rules, rules

OWNER_ATTEMPTS = 24  # at 5 s: how long another incident's containment is waited for


def verify(ctx: Context, target: Target) -> tuple[Step, list[Check]]:
    work = Work(ctx, target)
    sessions = action_order.reading(work)
    try:
        facts = look(work, sessions.client("ec2"), target.attach or ctx.incident_id)
    except TargetGone as gone:
        return Step(status=Status.GONE, detail=str(gone)), [Check("instance", True, str(gone))]
    except Exception as error:
        text = f"{target.id} could not be read back ({why(error)}): treat it as not contained"
        return Step(status=Status.FAILED, detail=text), [
            Check("interfaces", False, text, fatal=True, read=False)
        ]
    checks = _network(work, facts)
    for action in action_order.look(work, sessions, facts):
        if action.name == "tag_instance":
            continue  # a label, not containment
        status, text = action.intent()
        read = not action.on or action.part not in facts.unread
        ok = not action.on or (read and not action.todo())
        text = text if ok else f"{action.name}: {'not ' * (status != FAILED)}{text}"
        checks.append(Check(action.name, ok, text, read=read))
    return replace(_conclude(work, checks), watched=_watched(work, facts)), checks


def _watched(work: Work, facts: Facts) -> list[str]:
    """What a call that undoes this would name, as far as it is seen: ids, addresses, and the
    role whose sessions are denied.
    """
    profile, had = facts.parts.get("profile") or {}, work.had("profile") or {}
    ids = {work.id, profile.get("association", ""), name_of(str(had.get("role") or ""))}
    ids |= {one.id for one in facts.interfaces} | {
        address for one in facts.interfaces for address in one.addresses
    }
    ids |= {one["GroupId"] for vpc, one in facts.groups.items() if vpc in facts.vpcs}
    return sorted(ids - {""})


def _network(work: Work, facts: Facts) -> list[Check]:
    if not facts.interfaces:
        return [
            Check(
                "interfaces",
                False,
                f"no interface of {work.id} could be read back",
                fatal=True,
                read=False,
            )
        ]
    out = []
    for one in facts.interfaces:
        ok, groups = closed(work, facts, one), ", ".join(one.groups) or "no group"
        text = f"{one.id} {'is in the quarantine group alone' if ok else 'is OPEN'} ({groups})"
        out.append(
            Check(
                f"interface {one.id}",
                ok,
                f"{text}; {one.managed}" if one.managed else text,
                not one.managed,
            )
        )
    for part, text in facts.unread.items():
        out.append(Check(part, False, f"{part} could not be read ({text})", read=False))
    for vpc in facts.vpcs:
        if vpc in facts.groups and "groups" not in facts.unread:
            id, found = facts.groups[vpc]["GroupId"], ", ".join(open_rules(work, facts.groups[vpc]))
            spared = ", ".join(rules(facts.groups[vpc]))
            none = f"no rules but to endpoints ({spared})" if spared else "no rules, v4 or v6"
            out.append(
                Check(f"group {id}", not found, f"{id} has {'rules: ' + found if found else none}")
            )
    return out


def _conclude(work: Work, checks: list[Check]) -> Step:
    ctx, target, acts = (
        work.ctx,
        work.target,
        not work.target.attach and not work.target.verify_only,
    )
    wrong = [one for one in checks if not one.ok]
    opened = [one for one in wrong if one.fatal]
    text = "; ".join(one.detail for one in opened or wrong)
    if wrong and target.attach and ctx.attempt < OWNER_ATTEMPTS:
        owner = ctx.record.meta(target.attach)["status"]
        if owner in IN_PROGRESS:
            return Step(
                done=False,
                wait_seconds=5,
                detail=f"incident {target.attach} ({owner}) is still at work: {text}",
            )
    if opened and acts and ctx.attempt < 3:
        return Step(done=False, again="contain", detail=text)
    # The ledger says it was done, so this may only be early: IAM and Auto Scaling are eventually
    # consistent.
    if (
        acts
        and ctx.attempt < 3
        and any(work.acted(one.name).get("status") == DONE for one in wrong)
    ):
        return Step(done=False, wait_seconds=2, detail=f"not to be seen yet: {text}")
    if opened:
        return Step(status=Status.FAILED, detail=f"NOT contained: {text}")
    if wrong:
        return Step(status=Status.PARTIAL, detail=f"closed as far as it can be, but: {text}")
    return Step(
        status=Status.CONTAINED,
        detail=f"{len(checks)} checks read back, every interface closed for IPv4 and IPv6",
    )
