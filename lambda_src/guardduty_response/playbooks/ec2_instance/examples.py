"""Shows every control of this playbook with placeholders for names, for the table in its runbook
(lambda_src/generate.py).
"""

from __future__ import annotations

from dataclasses import replace

from guardduty_response.containment.chained_denial import ChainedDenial
from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.declared import Example
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.session_denials import deny_sessions
from guardduty_response.containment.target_context import Sessions
from guardduty_response.playbooks.ec2_instance.actions import (
    DisableMetadata,
    Protect,
    ReleaseAddress,
    Tag,
)
from guardduty_response.playbooks.ec2_instance.credentials import ReplaceProfile, RevokeSessions
from guardduty_response.playbooks.ec2_instance.group_rules import GroupRules
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import InstanceControl
from guardduty_response.playbooks.ec2_instance.network_controls import Network
from guardduty_response.playbooks.ec2_instance.records import (
    AssociatedAddress,
    MetadataOptions,
    Protection,
)
from guardduty_response.playbooks.ec2_instance.rules import rules
from guardduty_response.playbooks.ec2_instance.state import InstanceState, Interface
from guardduty_response.playbooks.ec2_instance.traffic import Deregister, Detach, StandBy

# As the runbook calls the instance, its account and its Region
INSTANCE, ACCOUNT, REGION = "I", "A", "R"
DENIAL = f"P-deny-{INSTANCE}"
GROUP = {
    "GroupId": "QUARANTINE_GROUP",
    "GroupName": "P-quarantine",
    "VpcId": "VPC",
    "IpPermissionsEgress": [
        {
            "IpProtocol": "-1",
            "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
        }
    ],
}


class _KeptProfile(ReplaceProfile):
    """Is given back as it was: its role is asked of AWS, which an example cannot."""

    def irreversible(self, name: str, before: str, now: str | None) -> str:
        return ""


def examples(context: Context) -> list[Example]:
    """Returns an example of every control, in the order of the runbook."""
    standby = _with_option(context, "auto_scaling", "standby")
    group_state = {"group": "SCALING_GROUP", "state": "InService"}
    interface = {"vpc": "VPC", "groups": ["OLD_GROUP"], "managed": ""}
    return [
        _example(context, Network, {"state": "running", "interfaces": {"ENI": interface}}),
        _of_rules(context),
        _example(context, _KeptProfile, {"association": "ASSOCIATION", "name": "OLD_PROFILE"}),
        *_of_sessions(context),
        _example(context, DisableMetadata, _metadata_options()),
        _example(context, Detach, group_state),
        _example(
            standby,
            StandBy,
            group_state,
            after={**group_state, "state": "Standby"},
        ),
        _example(context, Deregister, [_registration()]),
        _example(context, Protect, _attributes()),
        _example(context, ReleaseAddress, [_address()]),
        _example(context, Tag, dict.fromkeys(("P", "P-incident"))),
        _of_held_session(context),
    ]


def _of_held_session(context: Context) -> Example:
    item = f"{ChainedDenial.name}/OTHER_ROLE"
    before = {"role": f"arn:aws:iam::{ACCOUNT}:role/OTHER_ROLE", "policy": DENIAL, "document": None}
    instance = InstanceContext(context, _target())
    instance.stored = {"before": {item: before}}
    control = ChainedDenial(instance, item)
    control.state.settings[item] = before
    return Example(
        "session that it got of another role",
        control,
        option="other_role_sessions",
        contained={DENIAL: deny_sessions(["OTHER_ROLE_ID:SESSION"], "NOW")},
        text=f"the session, issued until now, denied on its role by policy {DENIAL}",
    )


def _of_rules(context: Context) -> Example:
    found = {f"{GROUP['GroupId']} {words}": rule for words, rule in rules(GROUP).items()}
    return _example(
        context,
        GroupRules,
        found,
        text="rules removed from the quarantine group; a group of yours is never edited",
        restored="nothing to give back: the group is the response's own",
    )


def _of_sessions(context: Context) -> list[Example]:
    role = f"arn:aws:iam::{ACCOUNT}:role/ROLE"
    denied = {"role": role, "policies": {DENIAL: None}, "revoked_before": "NOW"}
    revoked = {**denied, "policies": {OLDER: None}}
    role_wide = _with_option(context, "revoke_sessions", "role")
    return [
        _example(context, RevokeSessions, denied),
        _example(
            role_wide,
            RevokeSessions,
            revoked,
            text=f"besides, all older sessions of the role denied by {OLDER}: every workload that"
            " shares the role needs new credentials",
        ),
    ]


def _attributes() -> Protection:
    return {
        "DisableApiTermination": False,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "DeleteOnTermination": {"/dev/xvda": True},
    }


def _metadata_options() -> MetadataOptions:
    return {
        "HttpEndpoint": "enabled",
        "HttpTokens": "OLD_TOKENS",
        "HttpPutResponseHopLimit": "OLD_LIMIT",
    }


def _registration() -> dict[str, object]:
    arn = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/TARGET_GROUP/ID"
    return {"arn": arn, "id": INSTANCE, "port": "PORT", "zone": None}


def _address() -> AssociatedAddress:
    return {
        "association": "ASSOCIATION",
        "allocation": "ALLOCATION",
        "ip": "ADDRESS",
        "interface": "ENI",
        "private": None,
    }


def _with_option(context: Context, option: str, value: str) -> Context:
    return replace(context, options={**context.options, option: value})


def _example(
    context: Context,
    control: type[InstanceControl],
    before: object,
    after: object = None,
    text: str = "",
    restored: str = "",
) -> Example:
    """Returns an example of a running instance with one interface."""
    instance = InstanceContext(context, _target())
    state = InstanceState(
        {"State": {"Name": "running"}},
        interfaces=[Interface("ENI", "VPC", ("OLD_GROUP",))],
        groups={"VPC": GROUP},
        settings={control.item: before},
    )
    made = control(instance, Sessions(instance, [], {}), state)
    return Example(
        "instance",
        made,
        after=after,
        text=text,
        restored=restored,
    )


def _target() -> Target:
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}"
    return Target("ec2_instance", INSTANCE, arn, ACCOUNT, REGION)
