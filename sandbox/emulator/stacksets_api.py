"""The calls of StackSets, in MiniStack's table of CloudFormation's actions."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from .ministack import cloudformation_handlers, responses
from .patching import extend
from .stacksets import (
    STACK_SETS,
    TRUSTED,
    Json,
    Operation,
    Place,
    Refusal,
    Result,
    StackSet,
    accounts_of,
    chosen,
    deploy,
    in_each,
    organization_of,
    remove,
    start,
)

_NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
Handler = Callable[[Json], Json]


def _nested(flat: dict[str, list[str]]) -> Json:
    """``A.member.1.B=x`` as ``{"A": [{"B": "x"}]}``."""
    tree: Json = {}
    for name, values in flat.items():
        at = tree
        *path, last = name.split(".")
        for part in path:
            at = at.setdefault(part, {})
        at[last] = values[0]

    def listed(value: object) -> Any:
        if not isinstance(value, dict):
            return value
        if list(value) == ["member"]:
            return [listed(value["member"][key]) for key in sorted(value["member"], key=int)]
        return {key: listed(item) for key, item in value.items()}

    found: Json = listed(tree)
    return found


def _xml(value: object) -> str:
    if isinstance(value, dict):
        return "".join(
            f"<{key}>{_xml(item)}</{key}>" for key, item in value.items() if item is not None
        )
    if isinstance(value, list):
        return "".join(f"<member>{_xml(item)}</member>" for item in value)
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


def _action(name: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        def answer(params: dict[str, list[str]]) -> Any:
            try:
                inner = _xml(handler(_nested(params)))
            except Refusal as error:
                kind = (
                    f"<Error><Type>Sender</Type><Code>{error.code}</"
                    f"Code><Message>{escape(str(error))}</Message></Error>"
                )
                body = (
                    "<ErrorResponse"
                    f' xmlns="{_NAMESPACE}">{kind}<RequestId>{uuid.uuid4()}</RequestId></'
                    "ErrorResponse>"
                )
                return error.status, {"Content-Type": "text/xml"}, body.encode()
            result = (
                f"<{name}Result>{inner}</{name}"
                f"Result><ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></"
                "ResponseMetadata>"
            )
            return (
                200,
                {"Content-Type": "text/xml"},
                f'<{name}Response xmlns="{_NAMESPACE}">{result}</{name}Response>'.encode(),
            )

        extend(
            cloudformation_handlers,
            "_ACTION_HANDLERS",
            name,
            answer,
            restores="StackSets with service-managed permissions",
        )
        return handler

    return register


def _management(request: Json) -> str:
    return organization_of(responses.get_account_id(), request.get("CallAs", "SELF"))


def _known(request: Json) -> StackSet:
    name = request["StackSetName"].partition(":")[0]
    found = STACK_SETS.get((_management(request), responses.get_region(), name))
    if found is None:
        raise Refusal(f"StackSet {name} not found", "StackSetNotFoundException", 404)
    return found


@_action("ActivateOrganizationsAccess")
def activate(_: Json) -> Json:
    TRUSTED.add(organization_of(responses.get_account_id(), "SELF"))
    return {}


@_action("DescribeOrganizationsAccess")
def describe_access(request: Json) -> Json:
    return {"Status": "ENABLED" if _management(request) in TRUSTED else "DISABLED"}


@_action("CreateStackSet")
def create_stack_set(request: Json) -> Json:
    if request.get("PermissionModel") != "SERVICE_MANAGED":
        raise Refusal("The sandbox has StackSets with service-managed permissions only.")
    management = _management(request)
    region = responses.get_region()
    name = request["StackSetName"]
    if management not in TRUSTED:
        raise Refusal("You must enable organizations access to operate a service managed stack set")
    if len(request.get("TemplateBody", "")) > 51200:
        raise Refusal(
            "Value at 'templateBody' failed to satisfy constraint: Member must have length less"
            " than or equal to 51200"
        )
    automatic = request.get("AutoDeployment", {})
    if automatic.get("Enabled") != "true" and automatic.get("RetainStacksOnAccountRemoval"):
        raise Refusal(
            "RetainStacksOnAccountRemoval cannot be specified when AutoDeployment is disabled"
        )
    if (management, region, name) in STACK_SETS:
        raise Refusal(f"The name '{name}' is already in use", "NameAlreadyExistsException", 409)
    made = StackSet(name, management, region, request, f"{name}:{uuid.uuid4()}")
    STACK_SETS[management, region, name] = made
    return {"StackSetId": made.identifier}


@_action("DescribeStackSet")
def describe_stack_set(request: Json) -> Json:
    known = _known(request)
    kept = (
        "Description",
        "TemplateBody",
        "Capabilities",
        "Tags",
        "AutoDeployment",
        "PermissionModel",
        "ManagedExecution",
    )
    service = (
        "aws-service-role/stacksets.cloudformation.amazonaws.com/"
        "AWSServiceRoleForCloudFormationStackSetsOrgAdmin"
    )
    return {
        "StackSet": {
            "StackSetName": known.name,
            "StackSetId": known.identifier,
            "Status": "ACTIVE",
            "Parameters": [],
            "StackSetARN": (
                f"arn:aws:cloudformation:{known.region}:{known.management}:stackset/"
                f"{known.identifier}"
            ),
            "AdministrationRoleARN": f"arn:aws:iam::{known.management}:role/{service}",
            "ExecutionRoleName": (
                f"stacksets-exec-{known.identifier.partition(':')[2].replace('-', '')}"
            ),
            "OrganizationalUnitIds": sorted(known.targets),
            **{name: known.document.get(name) for name in kept},
        }
    }


@_action("UpdateStackSet")
def update_stack_set(request: Json) -> Json:
    known = _known(request)
    if "DeploymentTargets" in request or "Accounts" in request:
        raise Refusal("The sandbox updates a StackSet in all its accounts only.")
    known.document = {**known.document, "Tags": [], **request}

    async def deploy_all(operation: str) -> list[Result]:
        units = {
            place: instance["OrganizationalUnitId"] for place, instance in known.instances.items()
        }
        return await in_each(units, lambda place: deploy(known, place, units[place], operation))

    return {
        "OperationId": start(
            known,
            "UPDATE",
            deploy_all,
            request.get("OperationId", ""),
            request.get("OperationPreferences"),
        )
    }


@_action("DeleteStackSet")
def delete_stack_set(request: Json) -> Json:
    try:
        known = _known(request)
    except Refusal as error:
        if error.code == "StackSetNotFoundException":
            return {}  # as on AWS, nothing to delete is no error
        raise
    if known.instances:
        raise Refusal("StackSet is not empty", "StackSetNotEmptyException", 409)
    if known.lock.locked():
        raise Refusal(
            f"Another Operation on StackSet {known.identifier} is in progress",
            "OperationInProgressException",
            409,
        )
    del STACK_SETS[known.management, known.region, known.name]
    return {}


def _targets(request: Json, creates: bool) -> Json:
    targets: Json = request.get("DeploymentTargets") or {}
    if not targets.get("OrganizationalUnitIds"):
        raise Refusal(
            "StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as"
            " target"
        )
    kind = targets.get("AccountFilterType")
    if creates and targets.get("Accounts") and not kind:
        raise Refusal(
            "AccountFilterType must be specified when both OrganizationalUnitIds and Accounts are"
            " specified"
        )
    if creates and kind == "UNION":
        raise Refusal("AccountFilterType UNION is not supported for create operations")
    return targets


@_action("CreateStackInstances")
def create_stack_instances(request: Json) -> Json:
    known = _known(request)
    targets = _targets(request, True)
    regions = request["Regions"]

    async def deploy_all(operation: str) -> list[Result]:
        results = []
        for unit in targets["OrganizationalUnitIds"]:
            found = chosen(await asyncio.to_thread(accounts_of, known.management, unit), targets)
            places = {(account, region) for account in found for region in regions}
            results += await in_each(
                places,
                functools.partial(deploy, known, unit=unit, operation=operation),
            )
            known.targets.setdefault(unit, set()).update(regions)
        return results

    return {
        "OperationId": start(
            known,
            "CREATE",
            deploy_all,
            request.get("OperationId", ""),
            request.get("OperationPreferences"),
        )
    }


@_action("DeleteStackInstances")
def delete_stack_instances(request: Json) -> Json:
    known = _known(request)
    targets = _targets(request, False)
    regions = set(request["Regions"])
    retain = request.get("RetainStacks") == "true"

    async def deploy_all(_: str) -> list[Result]:
        results = []
        for unit in targets["OrganizationalUnitIds"]:
            there = {
                place
                for place, instance in known.instances.items()
                if instance["OrganizationalUnitId"] == unit and place[1] in regions
            }
            places = {
                place
                for place in there
                if place[0] in chosen({account for account, _ in there}, targets)
            }
            results += await in_each(places, lambda place: remove(known, place, retain))
            if unit not in {
                instance["OrganizationalUnitId"] for instance in known.instances.values()
            }:
                known.targets.pop(unit, None)
        return results

    return {
        "OperationId": start(
            known,
            "DELETE",
            deploy_all,
            request.get("OperationId", ""),
            request.get("OperationPreferences"),
        )
    }


def _summary(known: StackSet, place: Place) -> Json:
    instance = known.instances[place]
    detailed = (
        "SUCCEEDED"
        if instance.get("Status") == "CURRENT"
        else "FAILED"
        if instance.get("StatusReason")
        else "PENDING"
    )
    return {
        "StackSetId": known.identifier,
        "Account": place[0],
        "Region": place[1],
        "Status": instance.get("Status", "OUTDATED"),
        "StackInstanceStatus": {"DetailedStatus": detailed},
        "DriftStatus": "NOT_CHECKED",
        **{
            name: instance.get(name)
            for name in ("StackId", "StatusReason", "OrganizationalUnitId", "LastOperationId")
        },
    }


@_action("ListStackInstances")
def list_stack_instances(request: Json) -> Json:
    known = _known(request)
    account = request.get("StackInstanceAccount")
    region = request.get("StackInstanceRegion")
    places = [
        place
        for place in sorted(known.instances)
        if account in (None, place[0]) and region in (None, place[1])
    ]
    return {"Summaries": [_summary(known, place) for place in places]}


@_action("DescribeStackInstance")
def describe_stack_instance(request: Json) -> Json:
    known = _known(request)
    place = (request["StackInstanceAccount"], request["StackInstanceRegion"])
    if place not in known.instances:
        raise Refusal(
            f"Stack instance not found: {place[0]} in {place[1]}",
            "StackInstanceNotFoundException",
            404,
        )
    return {"StackInstance": _summary(known, place)}


def _operation(request: Json) -> Operation:
    found = _known(request).operations.get(request["OperationId"])
    if found is None:
        raise Refusal(
            f"Operation {request['OperationId']} not found", "OperationNotFoundException", 404
        )
    return found


@_action("DescribeStackSetOperation")
def describe_operation(request: Json) -> Json:
    return {
        "StackSetOperation": {
            key: value for key, value in _operation(request).items() if key != "results"
        }
    }


@_action("ListStackSetOperationResults")
def operation_results(request: Json) -> Json:
    return {"Summaries": _operation(request)["results"]}


@_action("ListStackSetOperations")
def list_operations(request: Json) -> Json:
    return {
        "Summaries": [
            {key: operation[key] for key in ("OperationId", "Action", "Status")}
            for operation in _known(request).operations.values()
        ]
    }
