"""What moto lacks of IAM, and how IAM judges a call by a session's policy.

moto lacks: permissions boundaries of users, service-specific credentials, the quotas of policies,
and AWSDenyAll (unless it loads all of AWS's policies, a second a test). ``extend`` adds them to
moto itself, so that every client meets them: requests reach it after botocore has validated and
serialized them, and its answers are parsed by botocore's model.
"""

from __future__ import annotations

import fnmatch
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws.api import PolicyDocument
from guardduty_response.cloudtrail.event import CloudTrailRecord
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import AWSManagedPolicy, User, iam_backends
from moto.iam.responses import IamResponse

from tests.unit.playbooks import iam_quotas
from tests.unit.playbooks.iam_principal import cloudtrail_identities
from tests.unit.playbooks.watched_session import granted_resources

# Parameters of an AWS call, as botocore takes them.
Parameters = dict[str, Any]
MEMBER, HOME = "222222222222", "us-east-1"
STORE_ACCOUNT = "999999999999"  # an identity store is the management account's
DENY_EVERYTHING: PolicyDocument = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}


def extend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds to moto what this module's text says it lacks, until the test has ended."""

    def user(self: IamResponse) -> User:
        return self.backend.get_user(self._get_param("UserName"))

    def put_boundary(self: IamResponse) -> ActionResult:
        arn = self._get_param("PermissionsBoundary")
        user(self).permissions_boundary = {  # type: ignore[attr-defined]  # added below
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": arn,
        }
        return EmptyResult()

    def delete_boundary(self: IamResponse) -> ActionResult:
        if not getattr(user(self), "permissions_boundary", None):
            raise NotFoundException("no permissions boundary")
        user(self).permissions_boundary = None  # type: ignore[attr-defined]
        return EmptyResult()

    def create(self: IamResponse) -> ActionResult:
        owner, service = user(self), self._get_param("ServiceName")
        created = {
            "UserName": owner.name,
            "Status": "Active",
            "ServiceUserName": f"{owner.name}-at-{MEMBER}",
            "ServiceName": service,
            "CreateDate": datetime.now(UTC),
            "ServiceSpecificCredentialId": f"ACCA{uuid.uuid4().hex[:17].upper()}",
        }
        owner.__dict__.setdefault("service_credentials", {})[
            created["ServiceSpecificCredentialId"]
        ] = created
        return ActionResult(
            {"ServiceSpecificCredential": {**created, "ServicePassword": "shown-once"}}
        )

    def listed(self: IamResponse) -> ActionResult:
        return ActionResult(
            {
                "ServiceSpecificCredentials": list(
                    user(self).__dict__.get("service_credentials", {}).values()
                )
            }
        )

    def update(self: IamResponse) -> ActionResult:
        id = self._get_param("ServiceSpecificCredentialId")
        try:
            user(self).__dict__.get("service_credentials", {})[id]["Status"] = self._get_param(
                "Status"
            )
        except KeyError:
            raise NotFoundException(f"no service-specific credential {id}") from None
        return EmptyResult()

    added = {
        "put_user_permissions_boundary": put_boundary,
        "delete_user_permissions_boundary": delete_boundary,
        "create_service_specific_credential": create,
        "list_service_specific_credentials": listed,
        "update_service_specific_credential": update,
    }
    for name, method in added.items():
        assert not hasattr(IamResponse, name), f"moto has {name} by now: let it answer"
        monkeypatch.setattr(
            IamResponse,
            name,
            method,
            raising=False,
        )
    monkeypatch.setattr(
        User,
        "permissions_boundary",
        None,
        raising=False,
    )
    iam_quotas.enforce(monkeypatch)


def managed(name: str = "AWSDenyAll") -> str:
    """A policy of AWS's own, as moto would load it. Returns its ARN."""
    created = AWSManagedPolicy(  # type: ignore[abstract]  # moto makes them so itself
        name, account_id=MEMBER, region=HOME, path="/", document=json.dumps(DENY_EVERYTHING)
    )
    arn = f"arn:aws:iam::aws:policy/{name}"
    iam_backends[MEMBER]["aws"].managed_policies[arn] = created
    return arn


@dataclass
class Call:
    """One AWS call: when, and the session policy it was made under (None: own role)."""

    service: str
    operation: str
    params: Parameters
    policy: PolicyDocument | None
    session: int
    region: str = ""
    start: float = 0.0
    end: float = 0.0


def matches_lookup(record: CloudTrailRecord, key: str, wanted: str) -> bool:
    """Tell whether LookupEvents finds the record by the attribute ``key``."""
    if key == "EventName":
        return bool(record["eventName"] == wanted)
    if key == "ResourceName":
        named = [record.get("requestParameters") or {}]
        if record["eventName"].startswith("AssumeRole"):
            named.append(record.get("responseElements") or {})  # the session, and its key
        return wanted in json.dumps(named)
    return cloudtrail_identities.matches_lookup(record["userIdentity"], key, wanted)


def error(code: str, operation: str, message: str = "injected") -> ClientError:
    status = 500 if code.startswith(("Internal", "ServiceFailure")) else 400
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "r",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        operation,
    )


def resource(call: Call) -> str:
    """The ARN that IAM judges the call by; ``*`` for what no policy can narrow."""
    backend = iam_backends[MEMBER]["aws"]
    for parameter, kind, named in (
        ("UserName", "user", backend.users),
        ("RoleName", "role", backend.roles),
    ):
        if call.service == "iam" and parameter in call.params:
            name = call.params[parameter]
            found = [entity for entity in named.values() if entity.name == name]
            return f"arn:aws:iam::{MEMBER}:{kind}{found[0].path if found else '/'}{name}"
    if call.service == "iam" and call.operation == "CreatePolicy":
        return f"arn:aws:iam::{MEMBER}:policy/{call.params['PolicyName']}"
    return str(call.params.get("PolicyArn", "*")) if call.service == "iam" else "*"


def resources(call: Call) -> list[str]:
    """All that the caller must be allowed to use, by the Service Authorization Reference."""
    given = call.params
    if call.service == "sso-admin":
        account = given.get("AccountId") or (
            "*" if call.operation == "ProvisionPermissionSet" else ""
        )
        named = [
            given["InstanceArn"],
            given.get("PermissionSetArn"),
            account and f"arn:aws:sso:::account/{account}",
        ]
        return [arn for arn in named if arn]
    if call.service == "identitystore":
        store = f"arn:aws:identitystore::{STORE_ACCOUNT}:identitystore/{given['IdentityStoreId']}"
        kinds = ("user", "membership") if "MemberId" in given else ("user",)
        return [store, *(f"arn:aws:identitystore:::{kind}/x" for kind in kinds)]
    return [resource(call)]


def allowed(call: Call) -> bool:
    action = f"{call.service.removesuffix('-admin')}:{call.operation}"
    granted = granted_resources(call.policy or {}, action)
    return all(
        any(fnmatch.fnmatchcase(arn, pattern) for pattern in granted) for arn in resources(call)
    )


def certificate_pem() -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")]),
    )
    at = datetime.now(UTC)
    created = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
    )
    created = created.not_valid_before(at).not_valid_after(at + timedelta(days=1))
    return created.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
