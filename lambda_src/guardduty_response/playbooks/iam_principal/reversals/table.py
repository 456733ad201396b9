"""Which reversal undoes which change, and which calls change nothing. Names are CloudTrail's."""

from __future__ import annotations

import re

from guardduty_response.playbooks.iam_principal.reversals import KINDS
from guardduty_response.playbooks.iam_principal.reversals.changes import Change
from guardduty_response.playbooks.iam_principal.reversals.reversal import AnyReversal

REVERSALS = {event: kind for kind in KINDS for event in kind.undoes}

# Calls that succeeded, are not read-only by CloudTrail's flag, and cannot be undone: credentials
# obtained, secrets read, sign-ins.
NOTEWORTHY = re.compile(
    r"sts:.*|signin:.*|sso:(Authenticate|Federate)|secretsmanager:(Batch)?GetSecretValue|kms:"
    r"(Decrypt|GenerateDataKey.*|Encrypt)"
    r"|ssm:GetParameters?.*|[a-z0-9-]+:(Get|List|Describe|Head|Lookup|Search|BatchGet|Select|"
    r"Query|Scan)[A-Z].*"
)


def reversal_for(change: Change) -> type[AnyReversal] | None:
    """Returns what undoes the change; None when people are told of it instead."""
    reversal_class = REVERSALS.get(change.key)
    if reversal_class and reversal_class.applies(change):
        return reversal_class
    return None
