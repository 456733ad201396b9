"""Names what AWS's APIs take and answer, where botocore has no class for it."""

from __future__ import annotations

from typing import Any

# A botocore client. Its methods are made at run time, from AWS's service models.
AwsClient = Any
# The answer of a call, or a structure in one: members by name, as AWS's API reference has them.
AwsAnswer = dict[str, Any]
# A statement of an IAM policy, and the whole policy (IAM User Guide, "IAM JSON policy elements").
# An element may be a text, a list or an object.
PolicyStatement = dict[str, Any]
PolicyDocument = dict[str, Any]
