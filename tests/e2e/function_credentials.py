"""Credentials of the functions' roles, and what they are refused."""

from __future__ import annotations

import io
import json
import secrets
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.e2e_world import SECURITY, World

Keys = dict[str, str]
# A function gets its role's credentials from the Lambda service: so does this one, which hands them
# out.
SOURCE = """import os
def handler(event, context):
    names = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
    return [os.environ["AWS_" + name] for name in names]
"""


def _archive(source: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("app.py", source)
    return data.getvalue()


def session_keys(access: str, secret: str, token: str) -> Keys:
    """Credentials as boto3 takes them."""
    return {
        "aws_access_key_id": access,
        "aws_secret_access_key": secret,
        "aws_session_token": token,
    }


class FunctionCredentials:
    """Sessions of functions' roles, each made once."""

    def __init__(self, world: World) -> None:
        self._functions = world.client("lambda", SECURITY)
        self._made: list[str] = []
        self._known: dict[str, Keys] = {}

    def __call__(self, role: str) -> Keys:
        """Return the credentials of a session of the role, by its name."""
        if role not in self._known:
            name = f"credentials-{secrets.token_hex(4)}"
            self._functions.create_function(
                FunctionName=name,
                Runtime="python3.13",
                Handler="app.handler",
                Code={"ZipFile": _archive(SOURCE)},
                Role=f"arn:aws:iam::{SECURITY}:role/{role}",
            )
            self._made.append(name)
            answer = self._functions.invoke(FunctionName=name)["Payload"].read()
            self._known[role] = session_keys(*json.loads(answer))
        return self._known[role]

    def end(self) -> None:
        """Remove the functions that hand out credentials."""
        for name in self._made:
            self._functions.delete_function(FunctionName=name)


def refused(call: Callable[..., Any], **parameters: Any) -> str:
    """The call is refused for want of permission; the refusal's text."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    code = caught.value.response["Error"]["Code"]
    assert code in (
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthorizationError",
    ), caught.value
    return str(caught.value)
