"""Permissions boundaries of users, which moto lacks.

They are answered where botocore's Stubber answers, after botocore validated the request.
"""

from __future__ import annotations

import threading
from typing import Any

from botocore.awsrequest import AWSResponse

Json = dict[str, Any]
ANSWER: Json = {"ResponseMetadata": {"RequestId": "r"}}


def extend_boundaries(client: Any, boundaries: dict[str, str | None]) -> None:
    """Make an IAM client store boundaries (user -> ARN) in ``boundaries`` and show them."""
    if client.meta.service_model.service_name != "iam":
        return
    request = threading.local()

    def remember(params: Json, **_: Any) -> None:
        request.params = params

    def put(**_: Any) -> Any:
        boundaries[request.params["UserName"]] = request.params.get("PermissionsBoundary")
        return AWSResponse("", 200, {}, None), ANSWER  # type: ignore[arg-type]  # plain headers

    def show(parsed: Json, **_: Any) -> None:
        arn = boundaries.get(parsed.get("User", {}).get("UserName"))
        if arn:
            parsed["User"]["PermissionsBoundary"] = {
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": arn,
            }

    events = client.meta.events
    for operation in ("PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary"):
        events.register(f"before-parameter-build.iam.{operation}", remember)
        events.register(f"before-call.iam.{operation}", put)
    events.register("after-call.iam.GetUser", show)
