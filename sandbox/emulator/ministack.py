"""MiniStack's modules as ``Any``: the package carries no types, and every private name is used
through here.
"""

from __future__ import annotations

import importlib
from typing import Any


def _module(name: str) -> Any:
    """Return a module of MiniStack's, which carries no types."""
    return importlib.import_module(name)


account = _module("ministack.services.account")
app = _module("ministack.app")
responses = _module("ministack.core.responses")
actions = _module("ministack.core.iam_actions")
evaluator = _module("ministack.core.iam_evaluator")
lambda_runtime = _module("ministack.core.lambda_runtime")
arns = _module("ministack.core.arn")
cloudformation = _module("ministack.services.cloudformation")
cloudformation_handlers = _module("ministack.services.cloudformation.handlers")
cloudformation_provisioners = _module("ministack.services.cloudformation.provisioners")
cloudtrail = _module("ministack.services.cloudtrail")
config = _module("ministack.services.config")
cloudwatch_logs = _module("ministack.services.cloudwatch_logs")
dynamodb = _module("ministack.services.dynamodb")
eventbridge = _module("ministack.services.eventbridge")
iam = _module("ministack.services.iam")
lambdas = _module("ministack.services.lambda_svc")
router = _module("ministack.core.router")
s3 = _module("ministack.services.s3")
scheduler = _module("ministack.services.scheduler")
sqs = _module("ministack.services.sqs")
sns = _module("ministack.services.sns")
stepfunctions = _module("ministack.services.stepfunctions")
sts = _module("ministack.services.sts")
