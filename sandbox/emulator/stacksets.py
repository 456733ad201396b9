"""StackSets with service-managed permissions: MiniStack has none, moto's know no organizational
units and make nothing.

Instances are real stacks of MiniStack's CloudFormation, in the accounts that moto's Organizations
has in the OUs. Kept of AWS: trusted access and delegation are asked for, the management account
never gets a stack, child OUs count, a filter names accounts inside the OUs, automatic deployment
follows accounts that join and leave and knows no filter, operations run one after another, an
account that fails does not stop the others within the tolerance, a set with instances is not
deleted.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Required, TypedDict

from .ministack import cloudformation, cloudformation_handlers, responses
from .moto_client import forward

Json = dict[str, Any]
Place = tuple[str, str]  # account, Region
DELEGATION = "member.org.stacksets.cloudformation.amazonaws.com"
_ACHIEVED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE")


class Refusal(Exception):
    """An error of the CloudFormation API."""

    def __init__(self, message: str, code: str = "ValidationError", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class Instance(TypedDict, total=False):
    """A StackSet's stack in an account and Region."""

    name: Required[str]
    OrganizationalUnitId: Required[str]
    StackId: str
    Status: str
    StatusReason: str
    LastOperationId: str


class Result(TypedDict):
    """How an operation ended in an account and Region."""

    Account: str
    Region: str
    OrganizationalUnitId: str
    Status: str
    StatusReason: str


class Operation(TypedDict, total=False):
    """An operation on a StackSet, as the API shows it, with its results."""

    OperationId: Required[str]
    StackSetId: str
    Action: str
    Status: str
    StatusReason: str
    results: Required[list[Result]]
    CreationTimestamp: str
    EndTimestamp: str
    OperationPreferences: Json


@dataclass
class StackSet:
    """One StackSet of an organization in a Region; ``targets``: OU -> Regions."""

    name: str
    management: str
    region: str
    document: Json
    identifier: str = ""
    targets: dict[str, set[str]] = field(default_factory=dict)
    instances: dict[Place, Instance] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


STACK_SETS: dict[tuple[str, str, str], StackSet] = {}
TRUSTED: set[str] = set()  # management accounts that activated trusted access
_TASKS: set[asyncio.Task[None]] = set()


def _ask(account: str, action: str, **request: object) -> Json:
    """Make one call of Organizations as that account's root user."""
    scope = f"Credential={account}/20250101/us-east-1/organizations/aws4_request"
    headers = {
        "X-Amz-Target": f"AWSOrganizationsV20161128.{action}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
    }
    status, _, body = forward("POST", "/", headers, json.dumps(request).encode(), {}, account)
    answer: Json = json.loads(body or b"{}")
    if status != 200:
        raise Refusal(answer.get("message") or answer.get("Message") or str(answer))
    return answer


def organization_of(account: str, call_as: str) -> str:
    """Return the management account that this account may act for; Refusal in CloudFormation's
    words.
    """
    try:
        management = str(_ask(account, "DescribeOrganization")["Organization"]["MasterAccountId"])
    except Refusal:
        management = ""
    if call_as == "DELEGATED_ADMIN" and management:
        known = _ask(management, "ListDelegatedAdministrators", ServicePrincipal=DELEGATION)[
            "DelegatedAdministrators"
        ]
        if account not in {administrator["Id"] for administrator in known}:
            raise Refusal("Account used is not a delegated administrator")
        return management
    if management != account:
        raise Refusal(
            "You must be the management account or delegated admin account of an organization"
            " before operating a SERVICE_MANAGED stack set"
        )
    return management


def accounts_of(management: str, parent: str) -> set[str]:
    """Accounts of an OU or the root and of everything below it, the management account left out."""
    found = {
        account["Id"]
        for account in _ask(management, "ListAccountsForParent", ParentId=parent)["Accounts"]
    }
    for unit in _ask(management, "ListOrganizationalUnitsForParent", ParentId=parent)[
        "OrganizationalUnits"
    ]:
        found |= accounts_of(management, unit["Id"])
    return found - {management}


def chosen(found: set[str], targets: Json) -> set[str]:
    """Return the accounts of an OU that a request's filter leaves."""
    named = set(targets.get("Accounts", []))
    kind = targets.get("AccountFilterType", "NONE")
    return (
        found & named
        if kind == "INTERSECTION"
        else found - named
        if kind == "DIFFERENCE"
        else found
    )


def _call(place: Place, action: str, **parameters: object) -> str:
    """A call of MiniStack's CloudFormation in another account; its answer, or Refusal with its
    message.
    """
    with responses.request_scope(*place):
        status, _, body = cloudformation_handlers._ACTION_HANDLERS[action](
            {key: [value] for key, value in parameters.items()}
        )
    text = body.decode() if isinstance(body, bytes) else str(body)
    if status != 200:
        raise Refusal(text.partition("<Message>")[2].partition("</Message>")[0] or text)
    return text


def _stack(place: Place, name: str) -> Json:
    found: Json | None = cloudformation._stacks.get_scoped(*place, name)
    return found or {"StackStatus": "DELETE_COMPLETE"}


def _why(place: Place, stack: Json) -> str:
    """Return the first resource that failed, as StackSets name it."""
    for event in reversed(cloudformation._stack_events.get_scoped(*place, stack["StackId"]) or []):
        if event["ResourceStatus"].endswith("_FAILED"):
            kinds = ("LogicalResourceId", "ResourceType", "ResourceStatusReason")
            logical, kind, why = (event.get(name, "") for name in kinds)
            return f"ResourceLogicalId:{logical}, ResourceType:{kind}, ResourceStatusReason:{why}."
    return str(stack["StackStatus"])


async def _settled(place: Place, name: str, wanted: str = "") -> Json:
    """The stack once nothing is under way; ``wanted``: and its status starts so (a deletion
    starts a moment after its call).
    """
    while (stack := _stack(place, name))["StackStatus"].endswith("_IN_PROGRESS") or not stack[
        "StackStatus"
    ].startswith(wanted):
        await asyncio.sleep(0.02)
    return stack


def _parameters(stack_set: StackSet) -> Json:
    named: Json = {"TemplateBody": stack_set.document["TemplateBody"]}
    for number, capability in enumerate(stack_set.document.get("Capabilities", []), 1):
        named[f"Capabilities.member.{number}"] = capability
    for number, tag in enumerate(stack_set.document.get("Tags", []), 1):
        named |= {
            f"Tags.member.{number}.Key": tag["Key"],
            f"Tags.member.{number}.Value": tag["Value"],
        }
    return named


async def deploy(stack_set: StackSet, place: Place, unit: str, operation: str) -> Result:
    """Make the stack of an account, or bring it up to date; return the operation's result there."""
    instance = stack_set.instances.setdefault(
        place, {"name": f"StackSet-{stack_set.name}-{uuid.uuid4()}", "OrganizationalUnitId": unit}
    )
    action = "CreateStack" if "StackId" not in instance else "UpdateStack"
    reason = ""
    try:
        answer = _call(place, action, StackName=instance["name"], **_parameters(stack_set))
        instance.setdefault("StackId", answer.partition("<StackId>")[2].partition("</StackId>")[0])
        stack = await _settled(place, instance["name"])
        if stack["StackStatus"] not in _ACHIEVED:
            reason = _why(place, stack)
    except Refusal as error:
        reason = "" if "No updates are to be performed" in str(error) else str(error)
    instance |= {
        "Status": "OUTDATED" if reason else "CURRENT",
        "StatusReason": reason,
        "LastOperationId": operation,
    }
    return _result(place, unit, reason)


async def remove(stack_set: StackSet, place: Place, retain: bool) -> Result:
    """Take an account's instance out of the set and delete its stack unless it is retained."""
    instance = stack_set.instances[place]
    reason = ""
    if not retain and "StackId" in instance:
        try:
            _call(place, "DeleteStack", StackName=instance["name"])
            stack = await _settled(place, instance["name"], "DELETE_")
            reason = "" if stack["StackStatus"] == "DELETE_COMPLETE" else stack["StackStatus"]
        except Refusal as error:
            reason = str(error)
    if not reason:
        del stack_set.instances[place]
    return _result(place, instance["OrganizationalUnitId"], reason)


def _result(place: Place, unit: str, reason: str) -> Result:
    return {
        "Account": place[0],
        "Region": place[1],
        "OrganizationalUnitId": unit,
        "Status": "FAILED" if reason else "SUCCEEDED",
        "StatusReason": reason,
    }


Work = Callable[[str], Awaitable[list[Result]]]


def start(
    stack_set: StackSet,
    action: str,
    deploy_all: Work,
    identifier: str = "",
    preferences: Json | None = None,
) -> str:
    """Run an operation after those before it; its id at once."""
    if (
        stack_set.lock.locked()
        and stack_set.document.get("ManagedExecution", {}).get("Active") != "true"
    ):
        raise Refusal(
            f"Another Operation on StackSet {stack_set.identifier} is in progress",
            "OperationInProgressException",
            409,
        )
    name = identifier or str(uuid.uuid4())
    document: Operation = {
        "OperationId": name,
        "StackSetId": stack_set.identifier,
        "Action": action,
        "Status": "QUEUED",
        "results": [],
        "CreationTimestamp": _now(),
        "OperationPreferences": preferences or {},
    }
    stack_set.operations[name] = document

    async def run() -> None:
        async with stack_set.lock:
            document["Status"] = "RUNNING"
            try:
                document["results"] = await deploy_all(name)
                failed = sum(1 for result in document["results"] if result["Status"] == "FAILED")
                tolerated = (
                    len(document["results"])
                    * int((preferences or {}).get("FailureTolerancePercentage", 0))
                    // 100
                )
                document["Status"] = "SUCCEEDED" if failed <= tolerated else "FAILED"
            except Exception as error:  # a caller waits for the end of it, whatever went wrong
                document["Status"] = "FAILED"
                document["StatusReason"] = str(error)
            document["EndTimestamp"] = _now()

    task = asyncio.get_running_loop().create_task(run())
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)
    return name


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


async def in_each(
    places: Iterable[Place], change: Callable[[Place], Awaitable[Result]]
) -> list[Result]:
    return [await change(place) for place in sorted(places)]


async def _follow(stack_set: StackSet, operation: str) -> list[Result]:
    """Automatic deployment: stacks where an account joined, none where it left."""
    results: list[Result] = []
    retain = stack_set.document["AutoDeployment"].get("RetainStacksOnAccountRemoval") == "true"
    for unit, regions in list(stack_set.targets.items()):
        now = await asyncio.to_thread(accounts_of, stack_set.management, unit)
        known = {
            place
            for place, instance in stack_set.instances.items()
            if instance["OrganizationalUnitId"] == unit
        }
        results += await in_each(
            {place for place in known if place[0] not in now},
            lambda place: remove(stack_set, place, retain),
        )
        new = {(account, region) for account in now for region in regions} - known
        results += await in_each(
            new,
            functools.partial(deploy, stack_set, unit=unit, operation=operation),
        )
    return results


def organization_changed() -> None:
    """Let sets with automatic deployment follow an account that was made, moved or taken out."""
    for stack_set in STACK_SETS.values():
        if (
            stack_set.document.get("AutoDeployment", {}).get("Enabled") == "true"
            and stack_set.targets
        ):
            start(stack_set, "UPDATE", functools.partial(_follow, stack_set))
