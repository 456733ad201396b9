"""Brings back what was undone outside IAM: instances, rules, buckets, functions, sharing. Trails
and detectors stay on.
"""

from __future__ import annotations

import json
from functools import partial

from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.recorded_reversal import RecordedReversal
from guardduty_response.playbooks.iam_principal.records import AwsAnswer
from guardduty_response.playbooks.iam_principal.resource_types import IpPermission


def instances(reversal: RecordedReversal) -> list[RestoreItem]:
    ids: list[str] = reversal.before_state["instances"]
    found = resource_state.instances(reversal.read("ec2"), ids)
    items: list[RestoreItem] = []
    for id in ids:
        state = found[id]["state"] if id in found else "terminated"
        items += _instance(reversal, id, state)
    return items


def _instance(reversal: RecordedReversal, id: str, state: str) -> list[RestoreItem]:
    if state in ("terminated", "shutting-down"):
        return reversal.gone(id)
    if state in ("running", "pending"):
        return reversal.unchanged(id, f"{id} runs")
    command = reversal.command("ec2 start-instances --instance-ids", id)
    if state == "stopping":
        text = f"{id} is still stopping: run restore again when it has stopped"
        return reversal.not_restored(RestoreStatus.MANUAL, id, text, command)
    return reversal.restorable(id, f"{id} started again", command, partial(_start, reversal, id))


def _start(reversal: RecordedReversal, id: str) -> list[AwsAnswer]:
    ec2 = reversal.change("ec2:StartInstances", reversal.ec2_arn(f"instance/{id}"), "ec2")
    return [ec2.start_instances(InstanceIds=[id])]


def rules(reversal: RecordedReversal) -> list[RestoreItem]:
    group: str = reversal.before_state["group"]
    egress: bool = reversal.before_state["egress"]
    direction = "egress" if egress else "ingress"
    ec2 = reversal.read("ec2")
    if resource_state.group_name(ec2, group) is None:
        return reversal.gone(f"security group {group}")
    current = resource_state.rules(ec2, group, egress).values()
    keys = {resource_state.rule_key(rule) for rule in current}
    items: list[RestoreItem] = []
    for rule in reversal.before_state["rules"]:
        item = f"{direction} {resource_state.describe_rule(rule)} in {group}"
        if resource_state.rule_key(rule) in keys:
            items += reversal.unchanged(item, f"{item} is allowed, as before")
            continue
        command = reversal.command(
            f"ec2 authorize-security-group-{direction} --group-id",
            group,
            "--ip-permissions",
            json.dumps([rule]),
        )
        call = partial(_authorize, reversal, group, direction, rule)
        items += reversal.restorable(item, f"{item} allowed again", command, call)
    return items


def _authorize(
    reversal: RecordedReversal, group: str, direction: str, rule: IpPermission
) -> list[AwsAnswer]:
    action = f"ec2:AuthorizeSecurityGroup{direction.title()}"
    ec2 = reversal.change(action, reversal.ec2_arn(f"security-group/{group}"), "ec2")
    authorize = getattr(ec2, f"authorize_security_group_{direction}")
    return [authorize(GroupId=group, IpPermissions=[rule])]


def bucket(reversal: RecordedReversal) -> list[RestoreItem]:
    bucket: str = reversal.before_state["bucket"]
    recorded: dict[str, bool] = reversal.before_state["block"]
    current = resource_state.public_access_block(reversal.read("s3"), bucket)
    item = f"public access block of bucket {bucket}"
    if current is None:
        return reversal.gone(f"bucket {bucket}")
    if current == recorded:
        return reversal.unchanged(item, f"the {item} is as before")
    if not resource_state.all_blocked(current):
        return reversal.changed_since(item, f"the {item} is a different configuration")
    call = partial(_restore_block, reversal, bucket, recorded)
    if not recorded:
        command = reversal.command("s3api delete-public-access-block --bucket", bucket)
        return reversal.restorable(item, f"the {item} is as before: none", command, call)
    settings = ",".join(f"{name}={str(value).lower()}" for name, value in recorded.items())
    command = reversal.command(
        "s3api put-public-access-block --bucket",
        bucket,
        "--public-access-block-configuration",
        settings,
    )
    return reversal.restorable(item, f"the {item} is as before", command, call)


def _restore_block(
    reversal: RecordedReversal, bucket: str, recorded: dict[str, bool]
) -> list[AwsAnswer]:
    # IAM has a single action for both calls.
    s3 = reversal.change("s3:PutBucketPublicAccessBlock", reversal.before_state["arn"], "s3")
    if not recorded:
        return [s3.delete_public_access_block(Bucket=bucket)]
    answer = s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=recorded)
    return [answer]


def trail(reversal: RecordedReversal) -> list[RestoreItem]:
    trail: str = reversal.before_state["trail"]
    if not resource_state.logging(reversal.read("cloudtrail"), trail):
        return reversal.unchanged(trail, f"trail {trail} is not logging, as before")
    text = f"trail {trail} was stopped and logs again; it stays on"
    command = reversal.command("cloudtrail stop-logging --name", trail)
    return reversal.not_restored(RestoreStatus.RETAINED, trail, text, command)


def detector(reversal: RecordedReversal) -> list[RestoreItem]:
    id: str = reversal.before_state["detector"]
    if resource_state.detector(reversal.read("guardduty"), id) != "ENABLED":
        return reversal.unchanged(id, f"GuardDuty detector {id} is off, as before")
    text = f"GuardDuty detector {id} was switched off and is on again; it stays on"
    command = reversal.command("guardduty update-detector --no-enable --detector-id", id)
    return reversal.not_restored(RestoreStatus.RETAINED, id, text, command)


def function(reversal: RecordedReversal) -> list[RestoreItem]:
    function: str = reversal.before_state["function"]
    recorded: int | None = reversal.before_state["reserved"]
    recorded_text = "none" if recorded is None else str(recorded)
    current = resource_state.concurrency(reversal.read("lambda"), function)
    item = f"reserved concurrency of function {function}"
    if current is None:
        return reversal.gone(f"function {function}")
    if current["reserved"] == recorded:
        return reversal.unchanged(item, f"the {item} is {recorded_text}, as before")
    if current["reserved"] != 0:
        return reversal.changed_since(item, f"the {item} is {current['reserved']}")
    if recorded is None:
        command = reversal.command("lambda delete-function-concurrency --function-name", function)
    else:
        command = reversal.command(
            "lambda put-function-concurrency --function-name",
            function,
            "--reserved-concurrent-executions",
            str(recorded),
        )
    call = partial(_restore_concurrency, reversal, function, recorded)
    return reversal.restorable(item, f"the {item} is {recorded_text} again", command, call)


def _restore_concurrency(
    reversal: RecordedReversal, function: str, recorded: int | None
) -> list[AwsAnswer]:
    arn = reversal.before_state["arn"]
    if recorded is None:
        client = reversal.change("lambda:DeleteFunctionConcurrency", arn, "lambda")
        return [client.delete_function_concurrency(FunctionName=function)]
    client = reversal.change("lambda:PutFunctionConcurrency", arn, "lambda")
    answer = client.put_function_concurrency(
        FunctionName=function, ReservedConcurrentExecutions=int(recorded)
    )
    return [answer]


def sharing(reversal: RecordedReversal) -> list[RestoreItem]:
    resource: str = reversal.before_state["of"]
    id: str = reversal.before_state["id"]
    entries: list[dict[str, str]] = reversal.before_state["entries"]
    current = resource_state.shares(reversal.read("ec2"), resource, id)
    if current is None:
        return reversal.gone(f"{resource} {id}")
    recipients = ", ".join(value for entry in entries for value in entry.values())
    item = f"{resource} {id} shared with {recipients}"
    missing = [entry for entry in entries if entry not in current]
    if not missing:
        return reversal.unchanged(item, f"{item}, as before")
    option = "create-volume-permission" if resource == "snapshot" else "launch-permission"
    command = reversal.command(
        f"ec2 modify-{resource}-attribute --{resource}-id",
        id,
        f"--{option}",
        json.dumps({"Add": missing}),
    )
    call = partial(_share, reversal, resource, id, missing)
    return reversal.restorable(item, f"{item} again", command, call)


def _share(
    reversal: RecordedReversal, resource: str, id: str, entries: list[dict[str, str]]
) -> list[AwsAnswer]:
    action = f"ec2:Modify{resource.title()}Attribute"
    ec2 = reversal.change(action, reversal.before_state["arn"], "ec2")
    return [resource_state.share(ec2, resource, id, "Add", entries)]
