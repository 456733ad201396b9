"""Lists every error that is worth repeating: of AWS APIs, and of the state machines' tasks."""

from __future__ import annotations

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

# Refused because of too many requests: certainly not done. The first lines are botocore's own list
# (botocore.retries.standard, and _retry.json of its data); a test compares them.
THROTTLING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        # what services say instead
        "KMSThrottling",  # Amazon SNS, SQS: AWS KMS throttles them
        "KMSThrottlingException",
        "KmsThrottled",
        "Throttled",  # Amazon SNS, with HTTP 429
        "ThrottlingError",
        "TransactionConflictException",  # Amazon DynamoDB: a transaction on the item is under way
    }
)
# Why Amazon DynamoDB cancels a transaction that can succeed when it is repeated. botocore repeats
# none of them.
PASSING_CANCELLATIONS = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
# No answer in time: perhaps done.
TIMEOUT_CODES = frozenset({"RequestTimeout", "RequestTimeoutException"})
# LimitExceededException is a rate for most services (CloudWatch Logs: queries at once; DynamoDB:
# operations at once), and botocore repeats it. For these calls AWS KMS and AWS Secrets Manager
# mean a quota of resources by it: waiting does not help, and people must hear of it.
QUOTA_OPERATIONS = frozenset(
    {"CreateGrant", "CreateSecret", "PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage"}
)

# Error names of Step Functions that the machines' Retry lists name (modules/incident/
# machine-texts.json). The function was not started, or Lambda itself failed; a function in a VPC
# also waits for network interfaces and addresses. A test compares them with botocore's model:
THROTTLED_STARTS = frozenset(
    {
        "Lambda.TooManyRequestsException",
        "Lambda.ServiceException",
        "Lambda.SdkClientException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.EC2ThrottledException",
        "Lambda.EC2UnexpectedException",
        "Lambda.ENILimitReachedException",
        "Lambda.ENINotReadyException",
        "Lambda.SubnetIPAddressLimitReachedException",
        "Lambda.ResourceNotReadyException",
        "Lambda.ResourceConflictException",
    }
)
# The function was started, and what failed in it can pass. TransientError is ``is_transient``.
TRANSIENT_FAILURES = frozenset(
    {
        "TransientError",
        "States.Timeout",
        "Sandbox.Timedout",
        "Lambda.Unknown",
        "Lambda.AWSLambdaException",
    }
)


# What a description of an error that may pass has in it, beside these codes: codes of answers with
# HTTP 5xx, and what botocore writes of a connection that failed.
_PASSING_WORDS = (
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "Unavailable",
    "timeout on endpoint URL",
    "Could not connect to the endpoint URL",
    "Connection was closed before",
    "is being written by",  # another containment holds a shared setting (SettingBusy)
)


def describes_transient(text: str) -> bool:
    """Tells whether a sentence names an error that repeating may help: for what is recorded of an
    error once it is gone (``describe_error``).
    """
    codes = THROTTLING_CODES | TIMEOUT_CODES
    return any(word in text for word in _PASSING_WORDS) or any(f"{code}:" in text for code in codes)


def error_code(error: Exception) -> str:
    """Returns the AWS error code of ``error``, or its class name."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return type(error).__name__


def is_conflict(error: Exception) -> bool:
    """Tells whether DynamoDB refused a write only because others were under way on its items."""
    if error_code(error) == "TransactionConflictException":
        return True
    if not isinstance(error, ClientError) or error_code(error) != "TransactionCanceledException":
        return False
    answers = error.response.get("CancellationReasons") or []
    codes = {answer.get("Code") or "None" for answer in answers} - {"None"}
    return bool(codes) and codes <= PASSING_CANCELLATIONS


def is_transient(error: Exception) -> bool:
    """Tells whether repeating may help: throttling, time-outs, 429, 5xx, connection faults."""
    if is_conflict(error):
        return True
    if isinstance(error, ClientError):
        code = error_code(error)
        if code == "LimitExceededException" and error.operation_name in QUOTA_OPERATIONS:
            return False
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code in THROTTLING_CODES | TIMEOUT_CODES or status == 429 or status >= 500
    return isinstance(error, BotoConnectionError | HTTPClientError)
