"""Helpers of the emulator tests: roles and sessions, control paths, small functions."""

from __future__ import annotations

import io
import json
import secrets
import urllib.request
import zipfile
from typing import Any

from sandbox import settings
from sandbox.clients import Aws

SECURITY = settings.SECURITY_ACCOUNT
MEMBER = settings.MEMBER_ACCOUNT
ALLOW_ALL = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "*",
            "Resource": "*",
        }
    ],
}


class Control:
    """The sandbox's control paths."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def __call__(self, method: str, name: str, data: object = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(
            f"{self._endpoint}/_sandbox/{name}", data=body, method=method
        )
        with urllib.request.urlopen(request, timeout=settings.PATIENCE) as answer:
            return json.load(answer)


class Identity:
    """Creates roles and takes their sessions."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    def role(
        self,
        policy: Any,
        *,
        account: str = MEMBER,
        trust: object = None,
        service: str | None = None,
        path: str = "/",
    ) -> str:
        """Return a new role's ARN; trusted by its account, or by a service, or as given."""
        principal = {"Service": service} if service else {"AWS": f"arn:aws:iam::{account}:root"}
        document = trust or {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": principal,
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        iam = self.aws.client("iam", account)
        name = f"role-{secrets.token_hex(4)}"
        arn = iam.create_role(
            RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(document)
        )["Role"]["Arn"]
        if policy:
            iam.put_role_policy(
                RoleName=name,
                PolicyName="p",
                PolicyDocument=json.dumps(policy),
            )
        return str(arn)

    def session(
        self,
        role: str,
        *,
        policy: object = None,
        name: str = "test",
        by: dict[str, str] | None = None,
    ) -> dict[str, str]:
        """Credentials of a session of the role, as ``Aws.client`` takes them."""
        sts = self.aws.client("sts", role.split(":")[4], **(by or {}))
        extra = {"Policy": json.dumps(policy)} if policy else {}
        found = sts.assume_role(
            RoleArn=role,
            RoleSessionName=name,
            **extra,
        )["Credentials"]
        return {
            "aws_access_key_id": found["AccessKeyId"],
            "aws_secret_access_key": found["SecretAccessKey"],
            "aws_session_token": found["SessionToken"],
        }

    def client(
        self, service: str, policy: Any, *, session_policy: object = None, name: str = "test"
    ) -> Any:
        """Return a client that may do what the policy says (and the session policy too)."""
        return self.aws.client(
            service, **self.session(self.role(policy), policy=session_policy, name=name)
        )


def allow(
    action: str | list[str], resource: str | list[str] = "*", **condition: object
) -> dict[str, Any]:
    """Return a policy with one Allow statement."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": action,
        "Resource": resource,
    }
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


def mail_policy(queue: str) -> dict[str, Any]:
    """Return the statement of a queue's policy that lets SNS topics in."""
    service = {"Service": "sns.amazonaws.com"}
    return {
        "Effect": "Allow",
        "Principal": service,
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }


def archive(source: str) -> bytes:
    """Return a zip with one module, ``app.py``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("app.py", source)
    return buffer.getvalue()
