"""Brings back what was reverted outside IAM: instances, rules, buckets, functions, sharing.
Trails and detectors stay on.
"""

from __future__ import annotations

import json
from functools import partial

from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.recorded_reversal import Reverted
from guardduty_response.playbooks.iam_principal.resource_state import Json


def instances(one: Reverted) -> list[RestoreItem]:
    ids, out = one.was["instances"], []
    now = resource_state.instances(one.read("ec2"), ids)
    for id in ids:
        state = (now.get(id) or {}).get("state", "terminated")
        if state in ("terminated", "shutting-down"):
            out += one.gone(id)
        elif state in ("running", "pending"):
            out += one.before(id, f"{id} runs")
        elif state == "stopping":
            text = f"{id} is still stopping: run restore again when it has stopped"
            out += one.stays(
                RestoreStatus.MANUAL,
                id,
                text,
                one.command("ec2 start-instances --instance-ids", id),
            )
        else:
            hand = one.command("ec2 start-instances --instance-ids", id)
            out += one.todo(id, f"{id} started again", hand, partial(_start, one, id))
    return out


def _start(one: Reverted, id: str) -> list[Json]:
    arn = (
        f"arn:{one.target_context.context.config.partition}:ec2:{one.region}:"
        f"{one.target_context.target.account_id}:"
        f"instance/{id}"
    )
    return [one.change("ec2:StartInstances", arn, "ec2").start_instances(InstanceIds=[id])]


def rules(one: Reverted) -> list[RestoreItem]:
    group, way = one.was["group"], "egress" if one.was["egress"] else "ingress"
    ec2 = one.read("ec2")
    if resource_state.group_name(ec2, group) is None:
        return one.gone(f"security group {group}")
    there = {
        resource_state.rule_key(rule)
        for rule in resource_state.rules(ec2, group, one.was["egress"]).values()
    }
    out = []
    for rule in one.was["rules"]:
        item = f"{way} {resource_state.told(rule)} in {group}"
        if resource_state.rule_key(rule) in there:
            out += one.before(item, f"{item} is allowed, as before")
        else:
            hand = one.command(
                f"ec2 authorize-security-group-{way} --group-id",
                group,
                "--ip-permissions",
                json.dumps([rule]),
            )
            out += one.todo(
                item, f"{item} allowed again", hand, partial(_authorize, one, group, way, rule)
            )
    return out


def _authorize(one: Reverted, group: str, way: str, rule: Json) -> list[Json]:
    arn = (
        f"arn:{one.target_context.context.config.partition}:ec2:{one.region}:"
        f"{one.target_context.target.account_id}:"
        f"security-group/{group}"
    )
    ec2 = one.change(f"ec2:AuthorizeSecurityGroup{way.title()}", arn, "ec2")
    return [getattr(ec2, f"authorize_security_group_{way}")(GroupId=group, IpPermissions=[rule])]


def bucket(one: Reverted) -> list[RestoreItem]:
    bucket, old = one.was["bucket"], one.was["block"]
    now, item = (
        resource_state.block(one.read("s3"), bucket),
        f"public access block of bucket {bucket}",
    )
    if now is None:
        return one.gone(f"bucket {bucket}")
    if now == old:
        return one.before(item, f"the {item} is as it was")
    if not resource_state.blocked(now):
        return one.changed_since(item, f"the {item} is another one")
    on = ",".join(f"{name}={str(value).lower()}" for name, value in old.items())
    hand = one.command(
        "s3api put-public-access-block --bucket", bucket, "--public-access-block-configuration", on
    )
    if not old:
        hand = one.command("s3api delete-public-access-block --bucket", bucket)
    return one.todo(
        item,
        f"the {item} is as it was{'' if old else ': none'}",
        hand,
        lambda: [_block_back(one, bucket, old)],
    )


def _block_back(one: Reverted, bucket: str, old: Json) -> Json:
    # IAM has one action for both calls
    s3 = one.change("s3:PutBucketPublicAccessBlock", one.was["arn"], "s3")
    if not old:
        return dict(s3.delete_public_access_block(Bucket=bucket))
    return dict(s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=old))


def trail(one: Reverted) -> list[RestoreItem]:
    trail = one.was["trail"]
    if not resource_state.logging(one.read("cloudtrail"), trail):
        return one.before(trail, f"trail {trail} is not logging, as before")
    hand = one.command("cloudtrail stop-logging --name", trail)
    return one.stays(
        RestoreStatus.RETAINED,
        trail,
        f"trail {trail} was stopped and logs again; it stays on",
        hand,
    )


def detector(one: Reverted) -> list[RestoreItem]:
    id = one.was["detector"]
    if resource_state.detector(one.read("guardduty"), id) != "ENABLED":
        return one.before(id, f"GuardDuty detector {id} is off, as before")
    hand = one.command("guardduty update-detector --no-enable --detector-id", id)
    return one.stays(
        RestoreStatus.RETAINED,
        id,
        f"GuardDuty detector {id} was switched off and is on again; it stays on",
        hand,
    )


def function(one: Reverted) -> list[RestoreItem]:
    function, old = one.was["function"], one.was["reserved"]
    now, item = (
        resource_state.concurrency(one.read("lambda"), function),
        f"reserved concurrency of function {function}",
    )
    if now is None:
        return one.gone(f"function {function}")
    if now["reserved"] == old:
        return one.before(item, f"the {item} is {'none' if old is None else old}, as before")
    if now["reserved"] != 0:
        return one.changed_since(item, f"the {item} is {now['reserved']}")
    hand = one.command("lambda delete-function-concurrency --function-name", function)
    if old is not None:
        hand = one.command(
            "lambda put-function-concurrency --function-name",
            function,
            "--reserved-concurrent-executions",
            str(old),
        )
    return one.todo(
        item,
        f"the {item} is {'none' if old is None else old} again",
        hand,
        lambda: [_concurrency(one, function, old)],
    )


def _concurrency(one: Reverted, function: str, old: int | None) -> Json:
    action = "lambda:DeleteFunctionConcurrency" if old is None else "lambda:PutFunctionConcurrency"
    client = one.change(action, one.was["arn"], "lambda")
    if old is None:
        return dict(client.delete_function_concurrency(FunctionName=function))
    return dict(
        client.put_function_concurrency(
            FunctionName=function, ReservedConcurrentExecutions=int(old)
        )
    )


def sharing(one: Reverted) -> list[RestoreItem]:
    of, id, entries = one.was["of"], one.was["id"], one.was["entries"]
    now, who = (
        resource_state.shares(one.read("ec2"), of, id),
        ", ".join(value for entry in entries for value in entry.values()),
    )
    item = f"{of} {id} shared with {who}"
    if now is None:
        return one.gone(f"{of} {id}")
    missing = [entry for entry in entries if entry not in now]
    if not missing:
        return one.before(item, f"{item}, as before")
    option = "create-volume-permission" if of == "snapshot" else "launch-permission"
    hand = one.command(
        f"ec2 modify-{of}-attribute --{of}-id", id, f"--{option}", json.dumps({"Add": missing})
    )
    return one.todo(item, f"{item} again", hand, lambda: [_share(one, of, id, missing)])


def _share(one: Reverted, of: str, id: str, entries: list[Json]) -> Json:
    return resource_state.share(
        one.change(f"ec2:Modify{of.title()}Attribute", one.was["arn"], "ec2"),
        of,
        id,
        "Add",
        entries,
    )
