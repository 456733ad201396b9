"""AWS Config in the sandbox: no history, and AWS's errors for that."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import MEMBER, SECURITY, Identity, allow

ASKED = {"resourceType": "AWS::EC2::Instance", "resourceId": "i-0123456789abcdef0"}


@pytest.mark.smoke
def test_without_a_recorder_there_is_no_history(aws: Aws) -> None:
    config = aws.client("config", MEMBER)
    assert config.describe_configuration_recorders()["ConfigurationRecorders"] == []
    with pytest.raises(ClientError, match="NoAvailableConfigurationRecorderException"):
        config.get_resource_config_history(**ASKED)


def test_a_recorder_has_discovered_nothing(aws: Aws) -> None:
    """Of its own account and Region alone: others have none."""
    config = aws.client("config", SECURITY)
    role = f"arn:aws:iam::{SECURITY}:role/config"
    config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role})
    with pytest.raises(ClientError, match="ResourceNotDiscoveredException"):
        config.get_resource_config_history(**ASKED)
    with pytest.raises(ClientError, match="NoAvailableConfigurationRecorderException"):
        aws.client("config", MEMBER).get_resource_config_history(**ASKED)


def test_who_may_not_ask_is_refused(identity: Identity) -> None:
    config = identity.client("config", allow("config:DescribeConfigurationRecorders"))
    assert config.describe_configuration_recorders()["ConfigurationRecorders"] == []
    with pytest.raises(ClientError, match="AccessDenied"):
        config.get_resource_config_history(**ASKED)
