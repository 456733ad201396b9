"""What MiniStack's CloudFormation leaves out of an IAM role."""

from __future__ import annotations

from typing import Any

from .ministack import cloudformation_provisioners as provisioners
from .ministack import iam
from .patching import Original, patch


@patch(
    provisioners,
    "_iam_role_create",
    restores="a role of a template has its boundary, and never takes the place of another role",
)
def role_create(
    original: Original, logical_id: str, props: dict[str, Any], stack_name: str
) -> object:
    name = props.get("RoleName")
    boundary = props.get("PermissionsBoundary")
    if name and name in iam._roles:
        raise ValueError(
            f'Resource handler returned message: "Role with name {name} already exists."'
            " (HandlerErrorCode: AlreadyExists)"
        )
    if boundary and (refused := iam._boundary_policy_error(boundary)):
        raise ValueError(
            f"Resource handler returned message: {refused[2]!r} (HandlerErrorCode: InvalidRequest)"
        )
    made = original(logical_id, props, stack_name)
    iam._roles[made[0]]["PermissionsBoundary"] = boundary
    return made


@patch(
    provisioners, "_iam_role_update", restores="a changed boundary in a template reaches the role"
)
def role_update(
    original: Original,
    physical_id: str,
    old: dict[str, Any],
    new: dict[str, Any],
    stack: str,
    logical_id: object = None,
) -> object:
    made = original(physical_id, old, new, stack, logical_id)
    iam._roles[made[0]]["PermissionsBoundary"] = new.get("PermissionsBoundary")
    return made


# The table of types holds the functions it was built with.
provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"].update(
    create=provisioners._iam_role_create, update=provisioners._iam_role_update
)
