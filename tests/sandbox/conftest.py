"""One emulator for all tests of its behaviour, without Terraform."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import seed, settings, stack
from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import ALLOW_ALL, MEMBER, SECURITY, Control, Identity, archive
from tests.sandbox.ssm_helpers import content
from tests.support.terraform_tools import end_shared_provider


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    patch = pytest.MonkeyPatch()
    patch.setattr(settings, "STATE_DIRECTORY", tmp_path_factory.mktemp("sandbox"))
    patch.setenv("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "0.1")
    known = stack.start()
    try:
        yield Aws(known.endpoint)
    finally:
        end_shared_provider(known.endpoint)
        stack.stop(known)
        patch.undo()


@pytest.fixture(scope="session")
def network(aws: Aws) -> seed.Network:
    return seed.network(aws)


@pytest.fixture
def victim(aws: Aws, network: seed.Network) -> Callable[..., seed.Victim]:
    """Return a new instance per call; a plain one unless traits are given."""

    def make(**traits: Any) -> seed.Victim:
        plain = {
            "profile_attached": False,
            "in_asg": False,
            "target_group": False,
            "elastic_ip": False,
            "interfaces": 1,
        }
        return seed.instance(aws, within=network, **{**plain, **traits})

    return make


@pytest.fixture
def control(aws: Aws) -> Iterator[Control]:
    use = Control(aws.endpoint)
    yield use
    use("DELETE", "faults")
    use(
        "POST",
        "clock",
        {
            "waits": 1,
            "timeouts": 1,
            "rates": 1,
            "long_rates": 1,
            "trail": 1,
            "lag": 0,
            "lookups": 2,
        },
    )


@pytest.fixture(scope="session")
def identity(aws: Aws) -> Identity:
    return Identity(aws)


@pytest.fixture(scope="session")
def function(aws: Aws, identity: Identity) -> Callable[..., str]:
    """Create a function from source; its handler is ``app.handler``. Returns its ARN."""

    def make(
        source: str, *, account: str = SECURITY, policy: Any = ALLOW_ALL, **extra: object
    ) -> str:
        role = identity.role(policy, account=account, service="lambda.amazonaws.com")
        created = aws.client("lambda", account).create_function(
            FunctionName=f"f-{secrets.token_hex(4)}",
            Runtime="python3.13",
            Handler="app.handler",
            Role=role,
            Code={"ZipFile": archive(source)},
            Timeout=30,
            **extra,
        )
        return str(created["FunctionArn"])

    return make


@pytest.fixture(scope="session")
def machine(aws: Aws, identity: Identity) -> Callable[..., str]:
    """Create a JSONata state machine in the security account. Returns its ARN."""

    def make(states: dict[str, Any], start: str, *, role: str | None = None, **top: Any) -> str:
        definition = {
            "QueryLanguage": "JSONata",
            "StartAt": start,
            "States": states,
            **top,
        }
        role = role or identity.role(ALLOW_ALL, account=SECURITY, service="states.amazonaws.com")
        created = aws.client("stepfunctions", SECURITY).create_state_machine(
            name=f"m-{secrets.token_hex(4)}", definition=json.dumps(definition), roleArn=role
        )
        return str(created["stateMachineArn"])

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests start emulators: they are left out where the sandbox is."""
    here = str(settings.ROOT / "tests" / "sandbox")
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.sandbox)


@pytest.fixture
def document(aws: Aws) -> Callable[..., str]:
    """Creates a document in the security account; returns its ARN. Shared with the member
    account unless told otherwise.
    """

    def make(script: str, *, shared: bool = True, name: str = "", **more: Any) -> str:
        name, ssm = name or f"d-{secrets.token_hex(4)}", aws.client("ssm", SECURITY)
        with contextlib.suppress(ClientError):  # of an earlier test: no longer shared, then gone
            ssm.modify_document_permission(
                Name=name, PermissionType="Share", AccountIdsToRemove=[MEMBER]
            )
            ssm.delete_document(Name=name)
        ssm.create_document(
            Name=name,
            Content=content(script, **more),
            DocumentType="Command",
        )
        if shared:
            ssm.modify_document_permission(
                Name=name, PermissionType="Share", AccountIdsToAdd=[MEMBER]
            )
        return f"arn:aws:ssm:{aws.region}:{SECURITY}:document/{name}"

    return make
