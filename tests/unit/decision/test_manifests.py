"""The manifests beside the code: what they answer, and that they are never silently missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from guardduty_response.decision import finding, manifests, routing
from guardduty_response.errors import ConfigError
from guardduty_response.functions import incident

from tests.support.catalogue import manifests as of_repository
from tests.support.finding_corpus import REFUSED, Entry, corpus
from tests.support.repository import load_finding
from tests.unit.deployment import Deployment

READ = [entry for entry in corpus() if entry.outcome not in REFUSED]


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in place of the package's playbooks."""
    monkeypatch.setattr(manifests, "PLAYBOOKS", tmp_path)
    manifests.load.cache_clear()
    yield tmp_path
    manifests.load.cache_clear()


def _pack(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "manifest.json").write_text(text)


def _bucket(**service: Any) -> finding.Finding:
    event = load_finding(resource={"resourceType": "S3Bucket", "s3BucketDetails": [{"name": "b"}]})
    event["detail"]["service"] |= service
    return finding.parse(event)


def test_functions_read_what_the_repository_says() -> None:
    assert manifests.load() == {
        name: {"answers": manifest["answers"], "modes": manifest["modes"]}
        for name, manifest in of_repository().items()
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "JSONDecodeError"), ("[]", "TypeError"), ('{"answers": []}', "KeyError: 'modes'")],
)
def test_an_unreadable_manifest_is_an_error_for_people(packed: Path, text: str, said: str) -> None:
    _pack(packed, "s3_bucket", text)
    with pytest.raises(ConfigError) as caught:
        manifests.playbook_for(_bucket())
    assert said in str(caught.value)
    assert "the playbook s3_bucket" in str(caught.value) and "make zips" in str(caught.value)


def test_no_manifest_at_all_is_an_error_and_no_answer(packed: Path) -> None:
    with pytest.raises(ConfigError, match="no manifest of any playbook"):
        manifests.playbook_for(_bucket())
    assert packed.is_dir()


def test_a_finding_is_not_lost_while_no_playbook_can_be_chosen(
    packed: Path, deployment: Deployment
) -> None:
    """The execution fails, which is reported; nothing says that no playbook answers it."""
    step = {"verb": "open", "execution": "e", "event": load_finding()}
    with pytest.raises(ConfigError):
        incident.handler(step)
    assert deployment.incidents() == []
    machine = f"{packed.name}-incident"
    assert routing.is_answered_by(load_finding(), machine), "what is redelivered is not dropped"


ANSWER = {"resource_type": "S3Bucket", "why": "a bucket was read"}
TARGET = {"service.resourceRole": ["TARGET"]}
LISTED = {"resource.s3BucketDetails": "not empty"}
NO_ACTOR = {"service.resourceRole": {"none_of": ["ACTOR"]}}


@pytest.mark.parametrize(
    ("conditions", "chosen"),
    [
        ([TARGET], None),
        ([{"service.resourceRole": ["ACTOR"]}], "s3_bucket"),
        ([{"service.resourceRole": ["ACTOR", "TARGET"]}], None),
        ([{"service.nothing.there": ["x"]}], "s3_bucket"),
        ([LISTED], None),
        ([{"resource.s3ObjectDetails": "not empty"}], "s3_bucket"),
        ([{**TARGET, "service.count": ["x"]}], "s3_bucket"),
        ([{"service.count": ["x"]}, TARGET], None),
        ([{"type": ["*:EC2/Bitcoin*"]}], None),
        ([{"type": ["*:S3/*"]}], "s3_bucket"),
        ([NO_ACTOR], None),
        ([{"service.resourceRole": {"none_of": ["ACTOR", "TAR*"]}}], "s3_bucket"),
        ([{"service.nothing.there": {"none_of": ["x"]}}], None),
    ],
)
def test_an_exception_holds_if_all_of_one_condition_does(
    packed: Path, conditions: list[Any], chosen: str | None
) -> None:
    unless = [{"why": "it is the victim", "when": conditions}]
    manifest = {"answers": [{**ANSWER, "unless": unless}], "modes": ["auto"]}
    _pack(packed, "s3_bucket", json.dumps(manifest))
    found, why = manifests.playbook_for(_bucket(resourceRole="TARGET"))
    assert (found, why) == ((chosen, "a bucket was read") if chosen else (None, "it is the victim"))


@pytest.mark.parametrize(
    ("role", "doubt"), [("TARGET", "it may be the victim"), ("ACTOR", ""), (None, "")]
)
def test_a_playbook_says_itself_what_is_in_doubt(
    packed: Path, role: str | None, doubt: str
) -> None:
    """What it leaves alone is not asked about either."""
    manifest = {
        "answers": [
            {
                **ANSWER,
                "unless": [
                    {"why": "no role", "when": [{"service.resourceRole": {"none_of": ["*"]}}]}
                ],
                "in_doubt": [{"why": "it may be the victim", "when": [NO_ACTOR]}],
            }
        ],
        "modes": ["auto"],
    }
    _pack(packed, "s3_bucket", json.dumps(manifest))
    seen = _bucket(resourceRole=role)
    assert manifests.doubt_about(seen) == doubt
    assert manifests.playbook_for(seen)[0] == ("s3_bucket" if role else None)


def test_what_one_playbook_leaves_alone_another_may_answer(packed: Path) -> None:
    unless = [{"why": "not mine", "when": [TARGET]}]
    first = {"answers": [{**ANSWER, "unless": unless}], "modes": ["auto"]}
    second = {"answers": [{**ANSWER, "why": "mine"}], "modes": ["auto"]}
    _pack(packed, "a", json.dumps(first))
    _pack(packed, "b", json.dumps(second))
    assert manifests.playbook_for(_bucket(resourceRole="TARGET")) == ("b", "mine")
    assert manifests.playbook_for(_bucket(resourceRole="ACTOR"))[0] == "a"


def test_an_unknown_resource_is_named(packed: Path) -> None:
    _pack(packed, "a", json.dumps({"answers": [], "modes": ["auto"]}))
    assert manifests.playbook_for(_bucket()) == (
        None,
        "no playbook answers resource type S3Bucket yet",
    )


@pytest.mark.parametrize("entry", READ, ids=lambda entry: entry.name)
def test_no_finding_is_answered_by_two_playbooks(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each playbook is asked alone: which one answers must not depend on their order."""
    answering = []
    for name, manifest in of_repository().items():
        monkeypatch.setattr(manifests, "load", partial(dict, {name: manifest}))
        answering.append(manifests.playbook_for(finding.parse(entry.read()))[0])
    assert len([name for name in answering if name]) <= 1
