"""MiniStack's modules as ``Any``: the package carries no types, and every private name is used
through here.
"""

from __future__ import annotations

import importlib
from typing import Any

account: Any = importlib.import_module("ministack.services.account")
app: Any = importlib.import_module("ministack.app")
responses: Any = importlib.import_module("ministack.core.responses")
actions: Any = importlib.import_module("ministack.core.iam_actions")
evaluator: Any = importlib.import_module("ministack.core.iam_evaluator")
lambda_runtime: Any = importlib.import_module("ministack.core.lambda_runtime")
arns: Any = importlib.import_module("ministack.core.arn")
cloudformation: Any = importlib.import_module("ministack.services.cloudformation")
cloudformation_handlers: Any = importlib.import_module("ministack.services.cloudformation.handlers")
cloudformation_provisioners: Any = importlib.import_module(
    "ministack.services.cloudformation.provisioners"
)
cloudtrail: Any = importlib.import_module("ministack.services.cloudtrail")
cloudwatch_logs: Any = importlib.import_module("ministack.services.cloudwatch_logs")
eventbridge: Any = importlib.import_module("ministack.services.eventbridge")
iam: Any = importlib.import_module("ministack.services.iam")
lambdas: Any = importlib.import_module("ministack.services.lambda_svc")
s3: Any = importlib.import_module("ministack.services.s3")
scheduler: Any = importlib.import_module("ministack.services.scheduler")
sqs: Any = importlib.import_module("ministack.services.sqs")
sns: Any = importlib.import_module("ministack.services.sns")
stepfunctions: Any = importlib.import_module("ministack.services.stepfunctions")
sts: Any = importlib.import_module("ministack.services.sts")
