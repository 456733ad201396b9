"""Restores what the instance may do and what may be done to it: profile, role policies,
attributes, tags.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.aws.errors import error_code
from guardduty_response.containment import role_policies
from guardduty_response.containment.restoration import (
    RestoreItem,
    RestoreStatus,
    aws_command,
    changed_since,
)
from guardduty_response.containment.target_context import (
    DONE,
    FAILED,
    Json,
    Sessions,
    allow,
    name_of,
)
from guardduty_response.playbooks.ec2_instance import credentials
from guardduty_response.playbooks.ec2_instance.actions import Protect, Tag
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceState

# -- credentials -----------------------------------------------------------------------------------


def profile(
    instance: InstanceContext, reading: Sessions, current: InstanceState
) -> list[RestoreItem]:
    was, now = instance.before_state("profile"), credentials.profile(reading, instance)
    name = was["name"]
    how = "associate-iam-instance-profile --instance-id " + instance.id
    if now:
        how = "replace-iam-instance-profile-association --association-id " + now["association"]
    manual_command = aws_command(instance, f"ec2 {how} --iam-instance-profile Name={name}")
    if now.get("name") == name:
        return [
            RestoreItem(RestoreStatus.UNCHANGED, "profile", name, f"its instance profile is {name}")
        ]
    # A stopped instance's profile is taken and given in two calls: between them it has none.
    halfway = (
        instance.logged_action("replace_instance_profile").get("status") != DONE
        or instance.logged_action("restore_profile").get("status") == FAILED
    )
    if now.get("name", "") not in instance.quarantine_profiles and (now or not halfway):
        return [
            changed_since(
                "profile",
                name,
                (
                    f"its instance profile is {now['name']}"
                    if now
                    else "it has no instance profile now"
                ),
            )
        ]
    if reason := _not_given(instance, reading, was):
        return [
            RestoreItem(
                RestoreStatus.MANUAL,
                "profile",
                name,
                f"instance profile {name} not given back: {reason}",
                manual_command,
            )
        ]
    call = partial(_profile_back, instance, current, was, now)
    return [
        RestoreItem(
            RestoreStatus.TODO,
            "profile",
            name,
            f"instance profile {name} given back",
            manual_command,
            call,
        )
    ]


def _not_given(instance: InstanceContext, reading: Sessions, was: Json) -> str:
    """Returns why the recorded profile would not hand out what it did, or ''."""
    if not was.get("role"):
        return (
            "its role was not readable when the instance was contained, so nothing says what it"
            " would hand out"
        )
    try:
        got = reading.client("iam").get_instance_profile(InstanceProfileName=was["name"])[
            "InstanceProfile"
        ]["Roles"]
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return "it no longer exists"
    roles = [str(role["Arn"]) for role in got]
    if roles == [was["role"]]:
        return ""
    return f"it holds {', '.join(roles) or 'no role'} now, and held {was['role']}"


def _profile_back(
    instance: InstanceContext, current: InstanceState, was: Json, now: Json
) -> list[Json]:
    session = instance.open_session(
        allow(credentials.PROFILE_CALLS, instance.target.arn), allow(("iam:PassRole",), was["role"])
    )
    return credentials.give_profile(
        session.client("ec2"), instance.id, current, now.get("association"), was["name"]
    )


def denials(
    instance: InstanceContext, reading: Sessions, _current: InstanceState | None
) -> list[RestoreItem]:
    was, iam = instance.before_state("sessions"), reading.client("iam")
    return [
        _policy(instance, was, name, old, role_policies.role_policy(iam, was["role"], name))
        for name, old in was["policies"].items()
    ]


def _policy(
    instance: InstanceContext, was: Json, name: str, old: Json | None, now: Json | None
) -> RestoreItem:
    role, dead = name_of(was["role"]), name == role_policies.OLDER
    about = f"--role-name {role} --policy-name {name}"
    manual_command = (
        f"aws iam delete-role-policy {about}"
        if old is None
        else f"aws iam put-role-policy {about} --policy-document '{json.dumps(old)}'"
    )
    if now == old:
        text = (
            f"policy {name} of role {role} is as it was"
            if old
            else f"role {role} has no policy {name}, as before"
        )
        return RestoreItem(RestoreStatus.UNCHANGED, "sessions", name, text)
    if dead and now is not None:
        before = role_policies.revoked_before(now) or was["revoked_before"]
        text = (
            f"{name} stays on role {role}: sessions issued before {before} stay dead by design,"
            " newer ones work"
        )
        return RestoreItem(RestoreStatus.RETAINED, "sessions", name, text, manual_command)
    if now != credentials.deny_document(instance.id):
        return changed_since(
            "sessions", name, f"role {role} has {'another' if now else 'no'} policy {name}"
        )
    text = (
        f"policy {name} {'put back as it was on' if old else 'removed from'} role {role}: new"
        f" sessions of {instance.id} work again"
    )
    return RestoreItem(
        RestoreStatus.TODO,
        "sessions",
        name,
        text,
        manual_command,
        partial(_policy_back, instance, was["role"], name, old),
    )


def _policy_back(instance: InstanceContext, role: str, name: str, old: Json | None) -> list[Json]:
    iam = instance.open_session(
        allow(("iam:DeleteRolePolicy" if old is None else "iam:PutRolePolicy",), role)
    ).client("iam")
    call = partial(iam.delete_role_policy, RoleName=name_of(role), PolicyName=name)
    if old is not None:
        call = partial(
            iam.put_role_policy,
            RoleName=name_of(role),
            PolicyName=name,
            PolicyDocument=json.dumps(old),
        )
    return [retry_on_conflict(call)]


# -- attributes and tags ---------------------------------------------------------------------------


def protection(
    instance: InstanceContext, reading: Sessions, current: InstanceState
) -> list[RestoreItem]:
    was, now = instance.before_state("protection"), Protect(instance, reading, current).read()
    rows = [
        (name, was[name], now[name], left)
        for name, left in Protect.ATTRIBUTES
        if name in was and name in now
    ]
    rows += [
        (f"DeleteOnTermination of {device}", on, now["DeleteOnTermination"].get(device), False)
        for device, on in was["DeleteOnTermination"].items()
    ]
    items = []
    for name, old, seen, left in rows:
        if seen == old:
            items.append(RestoreItem(RestoreStatus.UNCHANGED, "protection", name, f"{name}={old}"))
        elif seen is None:
            items.append(
                RestoreItem(
                    RestoreStatus.CHANGED_SINCE,
                    "protection",
                    name,
                    f"{name}: no volume is attached there any more",
                )
            )
        elif seen != left:
            items.append(changed_since("protection", name, f"{name} is {seen}"))
        else:
            manual_command = aws_command(
                instance,
                f"ec2 modify-instance-attribute --instance-id {instance.id} {_option(name, old)}",
            )
            items.append(
                RestoreItem(
                    RestoreStatus.TODO,
                    "protection",
                    name,
                    f"{name}={old} again",
                    manual_command,
                    partial(_attribute_back, instance, name, old),
                )
            )
    return items


def _option(name: str, old: Any) -> str:
    if name == "DisableApiTermination":
        return "--no-disable-api-termination"
    if name == "InstanceInitiatedShutdownBehavior":
        return f"--instance-initiated-shutdown-behavior {old}"
    mapping = [{"DeviceName": name.rsplit(" ", 1)[-1], "Ebs": {"DeleteOnTermination": old}}]
    return f"--block-device-mappings '{json.dumps(mapping)}'"


def _attribute_back(instance: InstanceContext, name: str, old: Any) -> list[Json]:
    modify = ("ec2:ModifyInstanceAttribute",)
    # The call may also be checked on the volume it touches: the instance pins which.
    ec2 = instance.open_session(
        allow(modify, instance.target.arn), allow(modify, instance.arn("volume/*"))
    ).client("ec2")
    if name == "DisableApiTermination":
        return [
            ec2.modify_instance_attribute(
                InstanceId=instance.id, DisableApiTermination={"Value": old}
            )
        ]
    if name == "InstanceInitiatedShutdownBehavior":
        return [
            ec2.modify_instance_attribute(
                InstanceId=instance.id, Attribute="instanceInitiatedShutdownBehavior", Value=old
            )
        ]
    mapping = {"DeviceName": name.rsplit(" ", 1)[-1], "Ebs": {"DeleteOnTermination": old}}
    return [ec2.modify_instance_attribute(InstanceId=instance.id, BlockDeviceMappings=[mapping])]


def tags(instance: InstanceContext, reading: Sessions, current: InstanceState) -> list[RestoreItem]:
    wanted, items = Tag(instance, reading, current).wanted(), []
    for key, old in instance.before_state("tags").items():
        now = current.tags.get(key)
        manual_command = f"ec2 delete-tags --resources {instance.id} --tags Key={key}"
        if old is not None:
            manual_command = (
                f"ec2 create-tags --resources {instance.id} --tags Key={key},Value={old}"
            )
        if now == old:
            items.append(
                RestoreItem(
                    RestoreStatus.UNCHANGED,
                    "tags",
                    key,
                    f"tag {key} is {'gone' if old is None else old}",
                )
            )
        elif now != wanted.get(key):
            items.append(changed_since("tags", key, f"tag {key} is {now}"))
        else:
            text = f"tag {key} removed" if old is None else f"tag {key}={old} again"
            items.append(
                RestoreItem(
                    RestoreStatus.TODO,
                    "tags",
                    key,
                    text,
                    aws_command(instance, manual_command),
                    partial(_tag_back, instance, key, old),
                )
            )
    return items


def _tag_back(instance: InstanceContext, key: str, old: str | None) -> list[Json]:
    ec2 = instance.open_session(
        allow(("ec2:DeleteTags" if old is None else "ec2:CreateTags",), instance.target.arn)
    ).client("ec2")
    if old is None:
        return [ec2.delete_tags(Resources=[instance.id], Tags=[{"Key": key}])]
    return [ec2.create_tags(Resources=[instance.id], Tags=[{"Key": key, "Value": old}])]
