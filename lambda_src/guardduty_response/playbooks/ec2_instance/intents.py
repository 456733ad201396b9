"""What will be done and what will not, in words: one function per action, from what was seen alone.

``plan`` shows these for a dry run or an approval and ``contain`` obeys the same ones, so what was promised is what is done.
Sentences are participles: they read as a promise (PLANNED) and, once done, as the ledger line (DONE).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guardduty_response.playbooks.ec2_instance.common import (
    ALREADY,
    FAILED,
    PLANNED,
    REVOKE_OLDER,
    SKIPPED,
    Work,
)
from guardduty_response.playbooks.ec2_instance.state import Facts, Interface, instance_tags, name_of, rules


@dataclass(frozen=True)
class Intent:
    status: str  # PLANNED, or ALREADY, SKIPPED, FAILED when nothing is to be done
    text: str


def _off(option: str) -> Intent:
    return Intent(SKIPPED, f"switched off ({option})")


def _unread(what: str, facts: Facts, part: str, command: str) -> Intent | None:
    if part not in facts.unread:
        return None
    return Intent(FAILED, f"{what} could not be read ({facts.unread[part]}). By hand: {command}")


def closed(work: Work, facts: Facts, one: Interface) -> bool:
    """Nothing but the quarantine group of its VPC is on the interface."""
    group = facts.groups.get(one.vpc)
    if group:
        return one.groups == (group["GroupId"],)
    if "groups" in facts.unread:  # then its name, which only one group of a VPC can have, or the id brought along
        return len(one.groups) == 1 and (one.names[0] == work.group_name or one.groups[0] == work.brought.get(one.vpc))
    return False


def quarantine_network(work: Work, facts: Facts) -> Intent:
    done = [one.id for one in facts.interfaces if closed(work, facts, one)]
    todo, managed = [], []
    for one in facts.interfaces:
        if one.managed and one.id not in done:
            managed.append(f"; {one.id} is {one.managed} and stays open")
        elif one.id not in done:
            group = facts.group_ids.get(one.vpc, "a new group")
            todo.append(f"{one.id} in {one.vpc} ({', '.join(one.groups) or 'none'} -> {group})")
    if not todo:
        return Intent(FAILED if managed else ALREADY, f"{', '.join(done)} already in {work.group_name}{''.join(managed)}")
    untrack = (
        f", by way of the all-open group {work.untrack_name} for an instant, so that tracked connections end (best effort)"
        if work.options["untrack_connections"]
        else ""
    )
    return Intent(
        PLANNED,
        f"security groups replaced by the quarantine group {work.group_name}, which lets nothing in or out: "
        f"{', '.join(todo)}{untrack}{''.join(managed)}",
    )


def strip_group_rules(work: Work, facts: Facts) -> Intent:
    parts, status = [], SKIPPED
    for vpc in facts.vpcs:
        group = facts.groups.get(vpc)
        if group is None:
            parts.append(f"default egress (0.0.0.0/0, ::/0) removed from the group created in {vpc}")
            status = PLANNED if status == SKIPPED else status
        elif found := rules(group):
            shown = f"{len(found)} rule(s) of {group['GroupId']} ({', '.join(found[:8])})"
            if work.brought.get(vpc) == group["GroupId"]:
                parts.append(f"{shown} kept: a group brought along is never edited; remove them where you manage it")
                status = FAILED
            else:
                parts.append(f"{shown} removed")
                status = PLANNED if status == SKIPPED else status
    return Intent(status, "; ".join(parts) or "the quarantine group has no rules")


def disassociate_elastic_ip(work: Work, facts: Facts) -> Intent:
    if not work.options["disassociate_elastic_ip"]:
        return _off("disassociate_elastic_ip = false")
    if failed := _unread("Elastic IPs", facts, "addresses", work.cli("ec2 disassociate-address --association-id ID")):
        return failed
    if facts.addresses:
        return Intent(PLANNED, "Elastic IP disassociated: " + ", ".join(
            f"{one['ip']} ({one['allocation']})" for one in facts.addresses))  # fmt: skip
    return Intent(ALREADY, "disassociated before") if work.had("addresses") else Intent(SKIPPED, "it has no Elastic IP")


def auto_scaling(work: Work, facts: Facts) -> Intent:
    if work.options["auto_scaling"] == "none":
        return _off("auto_scaling = none")
    verb = "enter-standby" if work.standby else "detach-instances"
    command = work.cli(f"autoscaling {verb} --no-should-decrement-desired-capacity --instance-ids {work.id} "
                       f"--auto-scaling-group-name {facts.scaling.get('group', 'GROUP')}")  # fmt: skip
    if failed := _unread("Auto Scaling membership", facts, "scaling", command):
        return failed
    group, state = facts.scaling.get("group"), facts.scaling.get("state", "")
    if not group:
        had = work.had("auto_scaling")
        return Intent(ALREADY, f"left group {had['group']} before") if had else Intent(SKIPPED, "in no Auto Scaling group")
    if state.startswith("Terminating"):
        return Intent(FAILED, f"group {group} is already terminating the instance: copy what matters now")
    if state in (("EnteringStandby", "Standby") if work.standby else ("Detaching", "Detached")):
        return Intent(ALREADY, f"{state} in group {group}")
    how = "put on standby in" if work.standby else "detached from"
    return Intent(PLANNED, f"{how} Auto Scaling group {group} without lowering its capacity: a replacement is launched")


def deregister_targets(work: Work, facts: Facts) -> Intent:
    if not work.options["deregister_targets"]:
        return _off("deregister_targets = false")
    command = work.cli(f"elbv2 deregister-targets --targets Id={work.id} --target-group-arn ARN")
    if failed := _unread("target group registrations", facts, "registrations", command):
        return failed
    if facts.registrations:
        each = (f"{name_of(one['arn'].rsplit('/', 1)[0])} ({one['id']}:{one['port']})" for one in facts.registrations)
        return Intent(PLANNED, "deregistered from target group " + ", ".join(each))
    if work.had("target_groups"):
        return Intent(ALREADY, "deregistered before")
    return Intent(SKIPPED, "registered in no target group")


def protect_instance(work: Work, facts: Facts) -> Intent:
    if not work.options["protect_instance"]:
        return _off("protect_instance = false")
    kept = f"DeleteOnTermination=false for {len(facts.volumes)} EBS volume(s)"
    if facts.instance.get("InstanceLifecycle") == "spot":
        return Intent(PLANNED, f"{kept}; no termination protection: a Spot instance cannot have it")
    return Intent(PLANNED, f"DisableApiTermination=true, InstanceInitiatedShutdownBehavior=stop, {kept}")


def replace_instance_profile(work: Work, facts: Facts) -> Intent:
    if not work.options["replace_instance_profile"]:
        return _off("replace_instance_profile = false")
    if failed := _unread("the instance profile", facts, "profile", replace_command(work)):
        return failed
    name, had = facts.profile.get("name"), work.had("profile").get("name")
    if name == work.profile_name:
        return Intent(ALREADY, f"the profile is {name} already")
    if not name and not had:
        return Intent(SKIPPED, "it has no instance profile, so nothing hands out credentials")
    return Intent(PLANNED, f"instance profile {name or had} replaced by {work.profile_name}, whose role may do nothing")


def replace_command(work: Work) -> str:
    return work.cli(f"ec2 replace-iam-instance-profile-association --iam-instance-profile Name={work.profile_name} "
                    "--association-id ID")  # fmt: skip


def revoke_sessions(work: Work, facts: Facts) -> Intent:
    if work.options["revoke_sessions"] == "none":
        return _off("revoke_sessions = none")
    role, name = role_of(work, facts), facts.profile.get("name")
    if not role:
        error = facts.unread.get("profile") or facts.profile.get("unread")
        if error and name != work.profile_name:
            return Intent(FAILED, f"the instance's role could not be read ({error}). By hand: find the role of its "
                          f"profile and deny aws:userid *:{work.id} on it (runbook, 'Sessions')")  # fmt: skip
        if name == work.profile_name:
            return Intent(SKIPPED, "the profile was replaced before this incident: its record names the role it had")
        return Intent(SKIPPED, "it has no role, so no sessions")
    text = f"sessions of this instance (aws:userid *:{work.id}) denied on role {name_of(role)} by policy {work.deny_name}"
    if work.role_wide:
        return Intent(PLANNED, f"{text}; sessions of the role issued before now denied by {REVOKE_OLDER}: every "
                      "workload that shares the role needs new credentials")  # fmt: skip
    return Intent(PLANNED, f"{text}; other workloads of the role go on")


def role_of(work: Work, facts: Facts) -> str:
    """The role the instance had when the incident began, also after its profile was replaced."""
    if had := work.had("profile"):
        return str(had.get("role") or "")
    return "" if facts.profile.get("name") == work.profile_name else str(facts.profile.get("role") or "")


def tag_instance(work: Work, facts: Facts) -> Intent:
    wanted, present = wanted_tags(work), instance_tags(facts)
    text = "tagged " + ", ".join(f"{key}={text}" for key, text in wanted.items())
    return Intent(ALREADY if wanted.items() <= present.items() else PLANNED, text)


def wanted_tags(work: Work) -> dict[str, str]:
    return {work.prefix: "quarantined", f"{work.prefix}-incident": work.ctx.incident_id}


def snapshot(work: Work, facts: Facts) -> Intent:
    if not work.options["snapshot"]:
        return _off("snapshot = false")
    if not facts.volumes:
        return Intent(SKIPPED, "it has no EBS volumes")
    return Intent(PLANNED, f"one crash-consistent snapshot set of {', '.join(facts.volumes.values())}")


def stop_instance(work: Work, facts: Facts) -> Intent:
    if work.options["finish"] != "stop":
        return _off("finish = none")
    return Intent(PLANNED, "stopped once containment is verified and its snapshots are complete")


CONTAIN: dict[str, Callable[[Work, Facts], Intent]] = {
    "quarantine_network": quarantine_network,
    "strip_group_rules": strip_group_rules,
    "disassociate_elastic_ip": disassociate_elastic_ip,
    "auto_scaling": auto_scaling,
    "deregister_targets": deregister_targets,
    "protect_instance": protect_instance,
    "replace_instance_profile": replace_instance_profile,
    "revoke_sessions": revoke_sessions,
    "tag_instance": tag_instance,
}
LATER: dict[str, Callable[[Work, Facts], Intent]] = {"snapshot": snapshot, "stop_instance": stop_instance}


def all_of(work: Work, facts: Facts) -> dict[str, str]:
    """Action name -> sentence, of everything that is to be done, is done already or is known to fail."""
    out = {}
    for name, intend in {**CONTAIN, **LATER}.items():
        intent = intend(work, facts)
        if intent.status != SKIPPED:
            out[work.scaling_action if name == "auto_scaling" else name] = intent.text
    return out
