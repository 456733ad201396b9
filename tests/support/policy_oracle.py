"""IAM's answer to one call, by MiniStack's evaluator in this process (the one the sandbox
enforces with).
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]


def decide(
    policies: list[str | Json],
    action: str,
    resource: str,
    principal: str = "arn:aws:sts::111111111111:assumed-role/r/s",
    **context: Any,
) -> str:
    """Allow, Deny or ImplicitDeny. ``context``: condition keys, ``:`` and ``/`` written as
    ``__`` and ``___``.
    """
    from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

    keys = {name.replace("___", "/").replace("__", ":"): value for name, value in context.items()}
    values = {**keys, **{name.lower(): value for name, value in keys.items()}}
    asked = EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=principal.split(":")[4],
        action=action,
        resource_arn=resource,
        region="us-east-1",
        secure_transport=True,
        service_context=values,
        request_tags={
            name.split("/", 1)[1]: value
            for name, value in keys.items()
            if name.startswith("aws:RequestTag/")
        },
        tag_keys=list(keys.get("aws:TagKeys", [])),
    )
    documents = [
        parse_policy_document(policy if isinstance(policy, str) else json.dumps(policy))
        for policy in policies
    ]
    return str(evaluate(asked, documents).decision)
