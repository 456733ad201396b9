"""A playbook that is added to a copy of the repository contains what its findings name.

Nothing but its two folders, its variable and its line in the list is added
(tests/support/dummy_playbook.py); the sandbox applies the copy.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import findings, lifecycle, settings, state
from sandbox.report import Progress
from tests.e2e.e2e_world import MEMBER, TIMEOUTS, WAITS, World
from tests.support import dummy_playbook
from tests.support.repository import load_finding, skip_or_fail

pytestmark = pytest.mark.proof  # an apply of its own

SWITCHES: dict[str, Any] = {
    "remediations": {dummy_playbook.TYPE: "auto"},
    "dummy_bucket": {"ignore_acls": True},
    "notifications": {"messages_a_minute": 10000},
    "circuit_breaker": {"targets": 1000, "minutes": 60},
    "evidence": {"force_destroy": True},
}


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox of its own, with the copy applied."""
    if shutil.which("terraform") is None:
        skip_or_fail("Terraform is not on the PATH: the copy is applied with it.")
    directory = tmp_path_factory.mktemp("new-playbook")
    copy = dummy_playbook.copy_with_playbook(directory / "copy")
    switches = directory / "switches.tfvars.json"
    switches.write_text(json.dumps(SWITCHES))
    patch, say = pytest.MonkeyPatch(), Progress(to_stderr=True)
    patch.setattr(settings, "STATE_DIRECTORY", directory / "state")
    patch.setenv("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "0.5")
    try:
        lifecycle.emulators_only(say)  # the checkout's own; only the module is the copy's
        patch.setattr(settings, "ROOT", copy)
        patch.setattr(settings, "TERRAFORM_ROOT", copy / "sandbox" / "terraform")
        world = World(lifecycle.up(say, [switches], elsewhere=False))
        world.clock(waits=WAITS, timeouts=TIMEOUTS)
        yield world
    finally:
        if state.load() is not None:
            lifecycle.down(say)
        patch.undo()


def _public_access(world: World, bucket: str) -> dict[str, bool]:
    """The bucket's settings, read by the account's root user; none where there are none."""
    s3 = world.client("s3", MEMBER)
    try:
        found = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    except s3.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration"
        return {}
    return dict(found)


def test_its_finding_ends_contained(added: World) -> None:
    bucket = f"data-{uuid.uuid4().hex[:12]}"
    s3 = added.client("s3", MEMBER)
    s3.create_bucket(Bucket=bucket)  # it is born closed
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration=dict.fromkeys(_public_access(added, bucket), False),
    )
    assert not any(_public_access(added, bucket).values()), "open before"
    event = load_finding(
        resource={
            "resourceType": "S3Bucket",
            "s3BucketDetails": [{"name": bucket, "arn": f"arn:aws:s3:::{bucket}"}],
        },
        type=dummy_playbook.TYPE,
    )
    sent = added.send(findings.prepare(added.aws, event, dummy_playbook.TYPE, account=MEMBER))
    incident = added.settled(sent)
    assert incident["playbook"] == dummy_playbook.NAME
    assert incident["status"] == "CONTAINED", incident
    assert _public_access(added, bucket) == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }
