"""Somebody undoes a containment: an administrator's or an attacker's own identity puts an
interface back into its groups.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from .clients import Aws
from .incidents import Json
from .settings import SandboxError
from .state import State

USER = "mallory"
_MAY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["ec2:ModifyNetworkInterfaceAttribute"], "Resource": "*"}
    ],
}


@dataclass(frozen=True)
class Undone:
    """Who put which interface into which groups."""

    who: str
    interface: str
    groups: list[str]


def _groups_before(incident: Json) -> dict[str, list[str]]:
    """Interface -> groups before containment, by the incident's record."""
    before = [(target.get("before") or {}).get("network") or {} for target in incident["targets"]]
    return {
        id: interface["groups"]
        for network in before
        for id, interface in (network.get("interfaces") or {}).items()
        if not interface["managed"]
    }


def undo(known: State, incident: Json) -> Undone:
    """Give the first interface of a contained instance its old groups, as an IAM user of the member
    account.

    SandboxError when the incident has contained no interface.
    """
    before = _groups_before(incident)
    if not before:
        raise SandboxError(
            f"Incident {incident['incident_id']} has contained no interface: there is nothing to"
            " undo."
        )
    interface, groups = sorted(before.items())[0]
    aws = Aws(known.endpoint, str(incident["region"]))
    account = str(incident["account_id"])
    iam = aws.client("iam", account)
    name = f"{USER}-{secrets.token_hex(2)}"
    who = str(iam.create_user(UserName=name)["User"]["Arn"])
    iam.put_user_policy(UserName=name, PolicyName="undo", PolicyDocument=json.dumps(_MAY))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    ec2 = aws.client(
        "ec2", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)
    return Undone(who, interface, groups)
