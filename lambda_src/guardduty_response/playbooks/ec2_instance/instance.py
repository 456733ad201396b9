"""The branches beside the network: protection, Auto Scaling, target groups, Elastic IPs, tags. Each fails alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from guardduty_response import aws
from guardduty_response.playbooks.ec2_instance import intents, sessions, state
from guardduty_response.playbooks.ec2_instance.common import DONE, FAILED, PLANNED, Json, Work, gather, value, why
from guardduty_response.playbooks.ec2_instance.state import Facts


class Changes:
    """The session for everything but the network; ``client`` widens it when more is found than the plan knew."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.session = work.open(sessions.changes(work, work.scope))

    def client(self, service: str, **found: str) -> Any:
        scope = {**self.work.scope, **found}
        if all(self.work.scope.get(key) == got for key, got in found.items()):
            return self.session.client(service)
        return self.work.open(sessions.changes(self.work, scope)).client(service)


def attempt(work: Work, name: str, intent: intents.Intent, change: Callable[[], list[Json]], by_hand: str) -> bool:
    """Carries out one intent and writes its ledger line; True when it was done now."""
    if intent.status != PLANNED:
        work.did(name, intent.status, intent.text)
        return False
    try:
        answers = change()
    except Exception as error:  # whatever goes wrong here must not touch the other branches
        work.did(name, FAILED, f"not done: {intent.text} ({why(error)}). By hand: {by_hand}")
        return False
    work.did(name, DONE, intent.text, *answers)
    return True


def protect(work: Work, changes: Changes, facts: Facts) -> None:
    spot = facts.instance.get("InstanceLifecycle") == "spot"
    wanted: dict[str, tuple[str, Any]] = {} if spot else {
        "disableApiTermination": ("DisableApiTermination", {"Value": True}),
        "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", {"Value": "stop"}),
    }  # fmt: skip

    def change() -> list[Json]:
        ec2 = changes.client("ec2")
        read = gather({name: partial(ec2.describe_instance_attribute, InstanceId=work.id, Attribute=name) for name in wanted})
        before: Json = {wanted[name][0]: value(got)[wanted[name][0]].get("Value") for name, got in read.items()}
        disks = {one["DeviceName"]: bool(one["Ebs"].get("DeleteOnTermination"))
                 for one in facts.instance.get("BlockDeviceMappings") or [] if one.get("Ebs")}  # fmt: skip
        work.before("instance", {**before, "DeleteOnTermination": disks})
        calls = {key: partial(ec2.modify_instance_attribute, InstanceId=work.id, **{key: to}) for key, to in wanted.values()}
        if disks:
            mappings = [{"DeviceName": name, "Ebs": {"DeleteOnTermination": False}} for name in disks]
            calls["DeleteOnTermination"] = partial(
                ec2.modify_instance_attribute, InstanceId=work.id, BlockDeviceMappings=mappings
            )
        done = gather(calls)
        failed = [f"{key}: {why(got)}" for key, got in done.items() if isinstance(got, Exception)]
        if failed:
            raise RuntimeError("; ".join(failed))
        return list(done.values())

    by_hand = work.cli(f"ec2 modify-instance-attribute --instance-id {work.id} --disable-api-termination")
    attempt(work, "protect_instance", intents.protect_instance(work, facts), change, by_hand)


def scale(work: Work, changes: Changes, facts: Facts) -> None:
    if work.options["auto_scaling"] != "none":
        _read(facts, "scaling", lambda: state.scaling(changes.client("autoscaling"), work.id))
    group = facts.scaling.get("group", "")

    def change() -> list[Json]:
        client = changes.client("autoscaling", auto_scaling_group=group)
        work.before("auto_scaling", facts.scaling)
        call = client.enter_standby if work.standby else client.detach_instances
        return [call(InstanceIds=[work.id], AutoScalingGroupName=group, ShouldDecrementDesiredCapacity=False)]

    verb = "enter-standby" if work.standby else "detach-instances"
    by_hand = (
        "wait until the instance is InService, or raise the group's maximum size if a replacement does not fit, then: "
        + work.cli(f"autoscaling {verb} --instance-ids {work.id} --auto-scaling-group-name {group} "
                   "--no-should-decrement-desired-capacity")  # fmt: skip
    )
    attempt(work, work.scaling_action, intents.auto_scaling(work, facts), change, by_hand)


class Registrations:
    """Sessions for the target groups the plan found, opened with the others so that AssumeRole overlaps."""

    def __init__(self, work: Work) -> None:
        self.work = work
        known = sorted({one["arn"] for one in work.scope.get("target_groups") or []})
        self.search = "registrations" in (work.scope.get("unread") or {})
        wanted = work.options["deregister_targets"] and (known or self.search)
        self.opened = self._open(known) if wanted else []
        self.known = known

    def _open(self, arns: list[str]) -> list[tuple[aws.Session, list[str]]]:
        return [(self.work.open(policy), ids) for policy, ids in sessions.registrations(arns)]

    def leave(self, facts: Facts) -> None:
        work = self.work

        def look() -> list[Json]:
            elb, ids = self.opened[0][0].client("elbv2"), state.ids_of(work, facts)
            if not self.search:
                return state.registrations(elb, ids, self.known)
            found = state.registrations(elb, ids, state.target_groups(elb, facts.vpcs))
            self.opened = self._open(sorted({one["arn"] for one in found}))
            return found

        if self.opened:
            _read(facts, "registrations", look)

        def change() -> list[Json]:
            work.before("target_groups", {"registrations": facts.registrations})
            calls = {}
            for session, arns in self.opened:
                for arn in arns:
                    leaving = [_registered(one) for one in facts.registrations if one["arn"] == arn]
                    if leaving:
                        calls[arn] = partial(session.client("elbv2").deregister_targets, TargetGroupArn=arn, Targets=leaving)
            return [value(got) for got in gather(calls).values()]

        by_hand = work.cli(f"elbv2 deregister-targets --target-group-arn ARN --targets Id={work.id}")
        attempt(work, "deregister_targets", intents.deregister_targets(work, facts), change, by_hand)


def _registered(one: Json) -> Json:
    zone = {"AvailabilityZone": one["zone"]} if one.get("zone") else {}
    return {"Id": one["id"], **({"Port": one["port"]} if one["port"] else {}), **zone}


def release_addresses(work: Work, facts: Facts) -> None:
    on = work.options["disassociate_elastic_ip"]
    if on:
        reader = work.open(sessions.addresses(work, [])[0][0])
        _read(facts, "addresses", lambda: state.addresses(reader.client("ec2"), work.id))

    def change() -> list[Json]:
        work.before("addresses", {"addresses": facts.addresses})
        calls = {}
        for policy, ids in sessions.addresses(work, facts.addresses):
            ec2 = work.open(policy).client("ec2")
            calls |= {id: partial(ec2.disassociate_address, AssociationId=id) for id in ids}
        return [value(got) for got in gather(calls).values()]

    by_hand = work.cli("ec2 disassociate-address --association-id ID")
    attempt(work, "disassociate_elastic_ip", intents.disassociate_elastic_ip(work, facts), change, by_hand)


def tag(work: Work, changes: Changes, facts: Facts) -> None:
    wanted, present = intents.wanted_tags(work), state.instance_tags(facts)

    def change() -> list[Json]:
        work.before("tags", {key: present.get(key) for key in wanted})
        pairs = [{"Key": key, "Value": text} for key, text in wanted.items()]
        return [changes.client("ec2").create_tags(Resources=[work.id], Tags=pairs)]

    by_hand = work.cli(f"ec2 create-tags --resources {work.id} --tags Key={work.prefix},Value=quarantined")
    attempt(work, "tag_instance", intents.tag_instance(work, facts), change, by_hand)


def _read(facts: Facts, part: str, read: Callable[[], Any]) -> None:
    try:
        setattr(facts, part, read())
    except Exception as error:
        facts.unread[part] = why(error)
