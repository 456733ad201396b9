"""Reverts of what runs and what is open: instances, security-group rules, functions, shared
snapshots and images.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import ALREADY, Json
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change, items
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    MANUAL,
    Job,
    Revert,
    Settled,
)

CUT = 200  # as many of a list as the collector keeps
AT_ONCE = 20  # instances of a session: their ARNs must fit its policy


class Instances(Revert):
    """Those that still run are stopped. One that cannot be stopped is left to people: its disks
    would be lost.
    """

    kind, what = "instances", "instances"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        made = [text(one.get("instanceId"), 30) for one in items(change.response, "instancesSet")]
        self.ids = sorted(set(made) - {""})
        # Where the list was cut or left out, the reservation names all that the call started.
        self.reservation = change.made("reservationId") if len(self.ids) in (0, CUT) else ""
        self.good = f"none of {', '.join(self.ids) or self.reservation} runs"

    def read(self) -> Any:
        if not self.ids and not self.reservation:
            raise Settled(MANUAL, "the event does not say which instances were started")
        found = resource_state.instances(self.client("ec2"), self.ids, self.reservation)
        alive = {
            id: one
            for id, one in found.items()
            if one["state"] not in ("terminated", "shutting-down")
        }
        if not alive:
            raise Settled(ALREADY, f"{', '.join(self.ids) or self.reservation}: terminated")
        return alive

    def names(self, now: Any) -> list[str]:
        return [self._arn(id) for id in now]

    def _arn(self, id: str) -> str:
        return (
            f"arn:{self.job.config.partition}:ec2:{self.change.region}:"
            f"{self.target_context.target.account_id}:instance/{id}"
        )

    def _running(self, now: Json) -> list[str]:
        """Those to stop. What cannot be stopped is told once."""
        unable = [
            id for id, one in now.items() if one["state"] in ("running", "pending") and one["store"]
        ]
        told = {id for _, hand in self.rest for id in now if id in hand}
        self.rest += [
            (
                f"{id} runs on: its root is an instance store, which stopping would lose",
                self._terminate(id),
            )
            for id in unable
            if id not in told
        ]
        return [
            id
            for id, one in sorted(now.items())
            if one["state"] in ("running", "pending") and id not in unable and id not in told
        ]

    def _terminate(self, id: str) -> str:
        return self.command("ec2 terminate-instances --instance-ids", id)

    def todo(self, now: Any) -> str:
        running = self._running(now)
        return f"stopped: {', '.join(running)}" if running else ""

    def before(self, now: Any) -> Json:
        return {"instances": self._running(now)}

    def undo(self, now: Any) -> list[Json]:
        ids = self._running(now)
        spot = [id for id in ids if now[id]["spot"]]
        plain = [id for id in ids if id not in spot]
        answers = [self._stop(plain[at : at + AT_ONCE]) for at in range(0, len(plain), AT_ONCE)]
        for id in spot:  # of a one-time request it cannot be stopped, of a persistent one it can
            try:
                answers.append(self._stop([id]))
            except ClientError as error:
                if error_code(error) != "UnsupportedOperation":
                    raise
                self.rest.append(
                    (
                        f"{id} runs on: a Spot instance of a one-time request cannot be stopped",
                        self._terminate(id),
                    )
                )
        if not answers:
            raise Settled(MANUAL, "; ".join(why for why, _ in self.rest))
        return answers

    def _stop(self, ids: list[str]) -> Json:
        ec2 = self.changing(("ec2:StopInstances",), [self._arn(id) for id in ids], "ec2")
        return dict(ec2.stop_instances(InstanceIds=ids))

    def by_hand(self) -> str:
        if self.reservation:
            return self.command(
                "ec2 describe-instances --filters", f"Name=reservation-id,Values={self.reservation}"
            )
        return self.command("ec2 stop-instances --instance-ids", *self.ids)


class Rules(Revert):
    """Exactly the rules that the call made: by their ids, or by protocol, ports and source where
    the answer has not all ids.
    """

    kind, what = "security_groups", "rules"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        made = items(change.response, "securityGroupRuleSet")
        self.made = {
            text(one.get("securityGroupRuleId"), 40): one
            for one in made
            if one.get("securityGroupRuleId")
        }
        self.group = change.asked("groupId") or next(
            (text(one.get("groupId"), 40) for one in made), ""
        )
        self.egress = change.name.endswith("Egress")
        self.way = "egress" if self.egress else "ingress"
        self.good = f"security group {self.group} has none of the rules that were added"

    def read(self) -> Any:
        if not self.group:
            raise Settled(MANUAL, "the event does not say the id of the security group")
        ec2 = self.client("ec2")
        name = resource_state.group_name(ec2, self.group)
        if name is None:
            raise Settled(ALREADY, f"security group {self.group} is gone")
        found = resource_state.rules(ec2, self.group, self.egress)
        changed = [
            id for id, rule in found.items() if id in self.made and not _same(self.made[id], rule)
        ]
        if changed:
            raise Settled(
                MANUAL,
                f"rule {', '.join(changed)} of {self.group} is not what was added: changed since,"
                " left as it is",
            )
        asked = {resource_state.rule_key(one) for one in asked_rules(self.change.parameters)}
        if not asked and not self.made:
            raise Settled(MANUAL, "the event does not say which rules were added")
        # the answer was cut, or named none
        wanted = asked if len(self.made) < len(asked) else set()
        mine = {
            id: rule
            for id, rule in found.items()
            if id in self.made or resource_state.rule_key(rule) in wanted
        }
        return {"name": name, "rules": mine}

    def names(self, now: Any) -> list[str]:
        return [self._arn, self.group, now["name"]]

    @property
    def _arn(self) -> str:
        return (
            f"arn:{self.job.config.partition}:ec2:{self.change.region}:"
            f"{self.target_context.target.account_id}:security-group/{self.group}"
        )

    def todo(self, now: Any) -> str:
        closed = ", ".join(map(resource_state.told, now["rules"].values()))
        return (
            f"closed in security group {self.group} ({self.way}): {closed[:250]}" if closed else ""
        )

    def before(self, now: Any) -> Json:
        return {"group": self.group, "egress": self.egress, "rules": list(now["rules"].values())}

    def undo(self, now: Any) -> list[Json]:
        action = f"RevokeSecurityGroup{self.way.title()}"
        ec2 = self.changing((f"ec2:{action}",), self._arn, "ec2")
        call = getattr(ec2, f"revoke_security_group_{self.way}")
        return [call(GroupId=self.group, SecurityGroupRuleIds=sorted(now["rules"]))]

    def by_hand(self) -> str:
        call = f"ec2 revoke-security-group-{self.way} --group-id"
        if self.made:
            return self.command(call, self.group, "--security-group-rule-ids", *sorted(self.made))
        return self.command(
            call, self.group, "--ip-permissions", json.dumps(asked_rules(self.change.parameters))
        )


def _same(made: Json, rule: Json) -> bool:
    """Whether the rule is what the answer said of it, as far as it said anything."""
    said = {
        "IpProtocol": made.get("ipProtocol"),
        "FromPort": made.get("fromPort"),
        "ToPort": made.get("toPort"),
    }
    if said["IpProtocol"] is None:
        return True
    source = next(
        (made[name] for name in ("cidrIpv4", "cidrIpv6", "prefixListId") if made.get(name)), None
    )
    protocol, low, high, now = resource_state.rule_key(rule)
    shown = resource_state.rule_key(
        {name: value for name, value in said.items() if value is not None}
    )
    return (protocol, low, high) == shown[:3] and source in (None, now)


def asked_rules(parameters: Json) -> list[Json]:
    """The rules of an Authorize request as CloudTrail shows it, each an IpPermission with a
    single source.
    """
    out: list[Json] = []
    sources = (
        ("ipRanges", "cidrIp", "IpRanges", "CidrIp"),
        ("ipv6Ranges", "cidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("prefixListIds", "prefixListId", "PrefixListIds", "PrefixListId"),
        ("groups", "groupId", "UserIdGroupPairs", "GroupId"),
    )
    for one in items(parameters, "ipPermissions") or [_old_style(parameters)]:
        if not one.get("ipProtocol"):
            continue
        base = {"IpProtocol": str(one["ipProtocol"])}
        base |= {
            name: one[field]
            for field, name in (("fromPort", "FromPort"), ("toPort", "ToPort"))
            if isinstance(one.get(field), int)
        }
        for field, member, name, parameter in sources:
            out += [
                {**base, name: [{parameter: source[member]}]}
                for source in items(one, field)
                if source.get(member)
            ]
    return out


def _old_style(parameters: Json) -> Json:
    """Before there were lists of permissions, and still: ``cidrIp``, ``ipProtocol`` and ports at
    the top.
    """
    return {**parameters, "ipRanges": {"items": [{"cidrIp": get(parameters, "cidrIp")}]}}


class Function(Revert):
    """A reserved concurrency of 0: the function stays, and can be invoked by nobody."""

    kind, what = "functions", "function"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.name = change.made("functionName") or change.asked("functionName").rsplit(":", 1)[-1]
        self.good = f"function {self.name} has a reserved concurrency of 0: nobody can invoke it"

    @property
    def _arn(self) -> str:
        return (
            f"arn:{self.job.config.partition}:lambda:{self.change.region}:"
            f"{self.target_context.target.account_id}:function:{self.name}"
        )

    def read(self) -> Any:
        found = resource_state.concurrency(self.client("lambda"), self.name) if self.name else None
        if found is None:
            raise Settled(ALREADY, f"function {self.name} is gone")
        return found

    def names(self, now: Any) -> list[str]:
        return [self._arn, self.name]

    def todo(self, now: Any) -> str:
        return (
            ""
            if now["reserved"] == 0
            else (
                f"function {self.name} stopped: its reserved concurrency is 0, nobody can invoke it"
            )
        )

    def before(self, now: Any) -> Json:
        return {"function": self.name, "arn": self._arn, "reserved": now["reserved"]}

    def undo(self, now: Any) -> list[Json]:
        client = self.changing(("lambda:PutFunctionConcurrency",), self._arn, "lambda")
        return [
            client.put_function_concurrency(FunctionName=self.name, ReservedConcurrentExecutions=0)
        ]

    def by_hand(self) -> str:
        return self.command(
            "lambda put-function-concurrency --reserved-concurrent-executions 0 --function-name",
            self.name,
        )


_SHARED_WITH = {
    "userId": "UserId",
    "group": "Group",
    "organizationArn": "OrganizationArn",
    "organizationalUnitArn": "OrganizationalUnitArn",
}


class Sharing(Revert):
    """The entries that the call added are taken out of the list again, and no others."""

    kind, what = "sharing", "sharing"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.of = "image" if "Image" in change.name else "snapshot"
        self.id = change.asked(f"{self.of}Id")
        self.added = _added(change)
        self.good = f"{self.of} {self.id} is shared with none of those that were added"

    @classmethod
    def applies(cls, change: Change) -> bool:
        return bool(_added(change))

    @property
    def _arn(self) -> str:
        # Neither has an account in its ARN (Service Authorization Reference, Amazon EC2).
        return f"arn:{self.job.config.partition}:ec2:{self.change.region}::{self.of}/{self.id}"

    def read(self) -> Any:
        found = resource_state.shares(self.client("ec2"), self.of, self.id) if self.id else None
        if found is None:
            raise Settled(ALREADY, f"{self.of} {self.id} is gone")
        return [one for one in self.added if one in found]

    def names(self, now: Any) -> list[str]:
        return [self._arn, self.id]

    def todo(self, now: Any) -> str:
        who = ", ".join(value for one in now for value in one.values())
        return (
            f"{self.of} {self.id} no longer shared with {who[:200]}; copies made meanwhile stay"
            " where they are"
            if who
            else ""
        )

    def before(self, now: Any) -> Json:
        return {"of": self.of, "id": self.id, "arn": self._arn, "entries": now}

    def undo(self, now: Any) -> list[Json]:
        ec2 = self.changing((f"ec2:Modify{self.of.title()}Attribute",), self._arn, "ec2")
        return [resource_state.share(ec2, self.of, self.id, "Remove", now)]

    def by_hand(self) -> str:
        attribute = resource_state.SHARED[self.of][0]
        option = "create-volume-permission" if self.of == "snapshot" else "launch-permission"
        return self.command(
            f"ec2 modify-{self.of}-attribute --attribute {attribute}",
            f"--{self.of}-id",
            self.id,
            f"--{option}",
            json.dumps({"Remove": self.added}, separators=(",", ":")),
        )


def _added(change: Change) -> list[Json]:
    attribute = "launchPermission" if "Image" in change.name else "createVolumePermission"
    found = items(change.parameters, attribute, "add")
    return [
        {name: text(one[field], 200)}
        for one in found
        for field, name in _SHARED_WITH.items()
        if text(one.get(field), 200)
    ]
