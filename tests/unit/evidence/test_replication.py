"""Whether S3 has replicated what was stored, as it says of each object; and that nothing else waits
for it.

moto replicates nothing: how far an object is, HeadObject is made to say, after moto has answered
for the version that was asked for.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context, StepResult
from guardduty_response.evidence import replication
from guardduty_response.playbooks.iam_principal import evidence

from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.evidence_lab import BUCKET, INCIDENT, REGION, EvidenceLab

Json = dict[str, Any]
REPLICA = {"bucket_arn": "arn:aws:s3:::vault", "account_id": "333333333333"}
LIMIT = replication.LIMIT_SECONDS


@dataclass
class ReplicaLab(EvidenceLab):
    """``says``: end of a key -> what S3 says of its replication; None is nothing at all, and an
    error code refuses the call. Everything else is COMPLETED.
    """

    replica: Json | None = field(default_factory=lambda: dict(REPLICA))
    says: dict[str, str | int | None] = field(default_factory=dict)
    heads: list[tuple[str, str]] = field(default_factory=list)  # (key, version) asked for

    def build(self) -> ReplicaLab:
        super().build()
        self.options["remediate"] = []
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        events = clients.client("s3").meta.events
        events.register("before-parameter-build.s3.HeadObject", self._ask)
        events.register("after-call.s3.HeadObject", self._answer)
        return self

    @property
    def s3(self) -> Any:
        return boto3.client("s3", region_name=REGION)

    def context(self) -> Context:
        made = super().context()
        replicated = cast(Any, {"replica": self.replica})
        made.config = made.config._replace(evidence=replicated)
        return made

    def step(self) -> StepResult:
        return evidence.collect(self.context(), self.target)

    def item(self) -> tuple[str, str]:
        """Collects to the end; returns outcome and detail of the item."""
        for _ in range(200):
            step = self.step()
            if step.done and not step.next_step:
                break
            self.ahead += step.wait_seconds
        return self.kept("replication")["outcome"], self.kept("replication")["detail"]

    def _said(self, key: str) -> str | int | None:
        found = [answer for end, answer in self.says.items() if key.endswith(end)]
        return found[0] if found else "COMPLETED"

    def _ask(self, params: Json, **_: Any) -> None:
        self.heads.append((params["Key"], params.get("VersionId", "")))
        status = self._said(params["Key"])
        if isinstance(status, int):
            answer: Any = {
                "Error": {"Code": str(status), "Message": "Forbidden"},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }
            raise ClientError(answer, "HeadObject")

    def _answer(self, http_response: Any, parsed: Json, **_: Any) -> None:
        status = self._said(urllib.parse.urlsplit(http_response.url).path)
        if http_response.status_code == 200 and status:
            parsed["ReplicationStatus"] = status


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplicaLab]:
    monkeypatch.setattr(evidence_lab, "EvidenceLab", ReplicaLab)
    for made in evidence_lab.account(monkeypatch):
        assert isinstance(made, ReplicaLab)
        made.build().see("iam").create_user(UserName="alice")
        made.happened("CreateUser", 60)
        yield made


def test_every_object_that_the_manifest_lists_and_the_manifest_are_asked_for(
    lab: ReplicaLab,
) -> None:
    outcome, detail = lab.item()
    manifest = json.loads(lab.stored()["manifest.json"])
    listed = {
        (stored["key"], stored["version"])
        for part in manifest["parts"].values()
        for stored in part["objects"]
    }
    [own] = lab.kept("manifest")["objects"]
    assert set(lab.heads) == {*listed, (own["key"], own["version"])}
    assert len(listed) > 2
    assert all(version for _, version in lab.heads)
    assert (outcome, lab.kept("replication")["task"]) == ("COMPLETE", "")
    count = len(listed) + 1
    assert detail == (
        f"{count} of {count} objects are replicated to arn:aws:s3:::vault in account 333333333333;"
        " the manifest is one of them"
    )


@pytest.mark.parametrize("word", ["COMPLETED", "COMPLETE"])
def test_both_words_of_the_documents_are_understood(lab: ReplicaLab, word: str) -> None:
    lab.says[""] = word
    assert lab.item()[0] == "COMPLETE"


@pytest.mark.parametrize("replica", [None, {}])
def test_without_a_replica_it_is_skipped_and_nothing_is_asked(
    lab: ReplicaLab, replica: Json | None
) -> None:
    lab.replica = replica
    outcome, detail = lab.item()
    assert (outcome, lab.heads) == ("SKIPPED", [])
    assert "evidence.replica" in detail


def test_the_version_that_was_stored_counts_not_a_later_one(lab: ReplicaLab) -> None:
    """What lies under the key now may be somebody else's, and replicated."""
    lab.says["manifest.json"] = "PENDING"
    lab.item()
    [own] = lab.kept("manifest")["objects"]
    lab.s3.delete_object(Bucket=BUCKET, Key=own["key"], VersionId=own["version"])
    lab.s3.put_object(Bucket=BUCKET, Key=own["key"], Body=b"another")
    lab.record.evidence(INCIDENT, lab.kind, lab.id, "replication", {"outcome": "RUNNING"})
    lab.says.clear()
    outcome, detail = lab.item()
    assert outcome == "PARTIAL"
    assert "manifest.json: not read (404" in detail


def test_an_object_without_a_version_is_asked_for_as_it_is(lab: ReplicaLab) -> None:
    """A bucket that is brought along may keep no versions; and what an instance uploads by itself
    has none in the record.
    """
    lab.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    lab.s3.put_object(Bucket=BUCKET, Key=f"incidents/{INCIDENT}/upload.txt", Body=b"x")
    entry: Json = {
        "outcome": "COMPLETE",
        "detail": "",
        "objects": [{"key": f"incidents/{INCIDENT}/upload.txt", "sha256": "", "bytes": 1}],
    }
    lab.record.evidence(INCIDENT, lab.kind, lab.id, "forensics", entry)
    lab.says["upload.txt"] = None
    outcome, detail = lab.item()
    assert (f"incidents/{INCIDENT}/upload.txt", "") in lab.heads
    assert outcome == "PARTIAL"
    assert "upload.txt: no replication rule applied to it (no status)" in detail


def test_what_is_pending_is_waited_for_after_everything_else_was_kept(lab: ReplicaLab) -> None:
    lab.says[""] = "PENDING"
    waiting = lab.step()
    assert (waiting.done, waiting.next_step, waiting.wait_seconds) == (False, "", 15)
    assert lab.kept("replication")["outcome"] == "RUNNING"
    assert {lab.kept(name)["outcome"] for name in ("principal", "actions", "manifest")} == {
        "COMPLETE"
    }, "nothing else waits"
    lab.ahead += 15
    lab.says.clear()
    assert lab.step().done
    assert lab.kept("replication")["outcome"] == "COMPLETE"


def test_pending_at_the_end_of_the_time_is_no_success(lab: ReplicaLab) -> None:
    lab.says["manifest.json"] = "PENDING"
    began = lab.ahead
    outcome, detail = lab.item()
    assert outcome == "PARTIAL"
    assert LIMIT <= lab.ahead - began < LIMIT + 60, "it is waited for no longer"
    assert "not replicated: " in detail
    assert "manifest.json: still PENDING after 15 minutes" in detail
    task = lab.kept("replication")["task"]
    assert f"aws s3api head-object --bucket {BUCKET} --key incidents/{INCIDENT}/alice/mani" in task
    assert "--version-id" in task
    assert "Batch Replication" not in task, "S3 still does it by itself"


@pytest.mark.parametrize(
    ("says", "text"),
    [
        ("FAILED", "FAILED"),
        (None, "no replication rule applied to it (no status)"),
        ("REPLICA", "no replication rule applied to it (REPLICA)"),
        (403, "not read (403: Forbidden)"),
    ],
)
def test_what_will_not_change_is_not_waited_for(
    lab: ReplicaLab, says: str | int | None, text: str
) -> None:
    lab.says["principal.json"] = says
    assert lab.step().done, "at the first look"
    outcome, detail = lab.kept("replication")["outcome"], lab.kept("replication")["detail"]
    assert outcome == "PARTIAL"
    assert f"principal.json: {text}" in detail
    [missing] = lab.kept("replication")["state"]["missing"]
    assert missing == {"key": f"incidents/{INCIDENT}/alice/principal.json", "status": text}
    assert "S3 Batch Replication" in lab.kept("replication")["task"]


@pytest.mark.parametrize("says", ["FAILED", None, 403])
def test_where_none_is_replicated_it_failed(lab: ReplicaLab, says: str | int | None) -> None:
    lab.says[""] = says
    outcome, detail = lab.item()
    assert outcome == "FAILED"
    assert detail.startswith("0 of ")


def test_what_cannot_be_read_for_now_is_asked_again_and_never_a_success(lab: ReplicaLab) -> None:
    lab.says["principal.json"] = 503
    assert not lab.step().done
    lab.says.clear()
    lab.ahead += 15
    assert lab.step().done
    assert lab.kept("replication")["outcome"] == "COMPLETE"


def test_what_cannot_be_read_for_the_whole_time(lab: ReplicaLab) -> None:
    lab.says["principal.json"] = 503
    outcome, detail = lab.item()
    assert outcome == "PARTIAL"
    assert "principal.json: not read (503" in detail


def test_of_many_the_first_are_named_and_the_rest_counted(lab: ReplicaLab) -> None:
    objects = [
        {"key": f"incidents/{INCIDENT}/alice/part-{number:03}", "sha256": "", "bytes": 1}
        for number in range(300)
    ]
    for stored in objects:
        lab.s3.put_object(Bucket=BUCKET, Key=stored["key"], Body=b"x")
    entry: Json = {"outcome": "COMPLETE", "detail": "", "objects": objects}
    lab.record.evidence(INCIDENT, lab.kind, lab.id, "logs", entry)
    lab.says |= {f"part-{number:03}": "FAILED" for number in range(1, 290)}
    lab.says["part-299"] = None
    outcome, detail = lab.item()
    assert outcome == "PARTIAL"
    assert "alice/part-005: FAILED, and 284 more: FAILED, and 1 more: no replication" in detail
    assert len(lab.kept("replication")["state"]["missing"]) == 200


def test_without_a_manifest_that_is_said(lab: ReplicaLab) -> None:
    _refuse_the_manifest("AccessDenied", 403)
    outcome, detail = lab.item()
    assert lab.kept("manifest")["outcome"] == "FAILED"
    assert (outcome, "there is no manifest" in detail) == ("COMPLETE", True)
    assert "one of them" not in detail


def test_a_manifest_that_could_not_be_written_yet_is_written_later(lab: ReplicaLab) -> None:
    """Its step is not done before, whether or not anything is replicated."""
    lab.replica = None
    _refuse_the_manifest("SlowDown", 503)
    step = lab.step()
    assert (step.done, lab.kept("manifest")["outcome"]) == (False, "RUNNING")


def _refuse_the_manifest(code: str, status: int) -> None:
    def refuse(params: Json, **_: Any) -> None:
        if params["Key"].endswith("manifest.json"):
            answer: Any = {
                "Error": {"Code": code, "Message": "refused"},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }
            raise ClientError(answer, "PutObject")

    events = clients.client("s3").meta.events
    events.register("before-parameter-build.s3.PutObject", refuse)


def test_eradication_does_not_wait_for_it(lab: ReplicaLab) -> None:
    lab.options["remediate"] = ["users"]
    lab.says[""] = "PENDING"
    step = lab.step()
    assert (step.done, step.next_step) == (True, "remediate")
    assert lab.kept("replication")["outcome"] == "RUNNING"


def test_where_nothing_was_stored_nothing_can_be_replicated(lab: ReplicaLab) -> None:
    item = lab.once(replication)
    assert (item.outcome, lab.heads) == ("NOT_POSSIBLE", [])
