"""A call of AWS is what a client makes and what people are shown."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.aws_call import AwsCall


@pytest.mark.parametrize(
    ("call", "command"),
    [
        (
            AwsCall("iam", "update_access_key", {"UserName": "a b", "Status": "Active"}),
            "aws iam update-access-key --user-name 'a b' --status Active",
        ),
        (
            AwsCall("guardduty", "update_detector", {"Enable": False, "DetectorId": "0a"}),
            "aws guardduty update-detector --no-enable --detector-id 0a --region r1",
        ),
        (
            AwsCall("ec2", "stop_instances", {"InstanceIds": ["i-1", "i-2"]}),
            "aws ec2 stop-instances --instance-ids i-1 i-2 --region r1",
        ),
        (
            AwsCall("lambda", "put_function_concurrency", {"ReservedConcurrentExecutions": 0}),
            "aws lambda put-function-concurrency --reserved-concurrent-executions 0 --region r1",
        ),
        (
            AwsCall("s3", "put_public_access_block", {"Bucket": "b", "X": {"IgnoreAcls": True}}),
            "aws s3api put-public-access-block --bucket b --x '{\"IgnoreAcls\":true}' --region r1",
        ),
        (
            AwsCall("ec2", "authorize_security_group_ingress", {"IpPermissions": [{"A": 1}]}),
            "aws ec2 authorize-security-group-ingress --ip-permissions '[{\"A\":1}]' --region r1",
        ),
    ],
)
def test_the_command_says_the_request(call: AwsCall, command: str) -> None:
    assert call.command("r1") == command


def test_a_client_makes_the_call() -> None:
    class Client:
        def tag_user(self, **request: Any) -> dict[str, Any]:
            return {"asked": request}

    assert AwsCall("iam", "tag_user", {"UserName": "bob"}).make(Client()) == {
        "asked": {"UserName": "bob"}
    }
