"""Every fixture parses as its manifest says, and the fixtures hold what they promise."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from guardduty_response.decision import finding, manifests
from guardduty_response.errors import MalformedFinding, NotAFinding

from tests.support.catalogue import playbook_of
from tests.support.finding_corpus import REFUSED, Entry, added_files, corpus
from tests.support.repository import FINDINGS, ROOT

CORPUS = corpus()
READ = [entry for entry in CORPUS if entry.outcome not in REFUSED]
# The types of the corpus that are made up, the second by a custom detection rule: the catalogue
# must not know them.
UNKNOWN_TYPES = {"Impact:EC2/SyntheticTypeOfTomorrow", "Persistence:Quantum/SyntheticTechnique"}
DOCUMENTATION = re.compile(r"(192\.0\.2|198\.51\.100|203\.0\.113|10\.0\.\d+|10\.20\.0)\.\d+")
ACCOUNTS = {
    "111122223333",
    "444455556666",
    "777788889999",
    "111111111111",
    "222222222222",
    "333333333333",
}


def _name(entry: Entry) -> str:
    return entry.name


def _catalogue() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = json.loads(
        (ROOT / "catalogue" / "finding_types.json").read_text()
    )
    return entries


# -- what the corpus is ----------------------------------------------------------------------------


def test_the_manifest_names_every_file_once() -> None:
    named = sorted(entry.file for entry in CORPUS)
    files = sorted(str(path.relative_to(FINDINGS)) for path in FINDINGS.rglob("*.json"))
    assert named == files
    assert len(READ) >= 80
    assert all(entry.why and entry.words for entry in CORPUS)


def test_every_resource_type_of_the_catalogue_is_there() -> None:
    known = {name for entry in _catalogue().values() for name in entry["resource_type"]}
    assert len(known) >= 13
    assert {finding.parse(entry.read()).resource_type for entry in READ} >= known


def test_every_type_is_one_of_the_catalogue() -> None:
    types = {finding.parse(entry.read()).type for entry in READ}
    assert types - set(_catalogue()) == UNKNOWN_TYPES
    assert len(types) >= 100


@pytest.mark.parametrize("path", sorted(FINDINGS.rglob("*.json")), ids=lambda path: path.stem)
def test_a_fixture_is_synthetic_and_says_so(path: Path) -> None:
    text = path.read_text()
    for address in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text):
        assert DOCUMENTATION.fullmatch(address), address
    assert set(re.findall(r"(?<![\w-])\d{12}(?!\w)", text)) <= ACCOUNTS
    if path.parent != FINDINGS:
        made_up = "f1c710" in text or path.stem == "text"
        assert made_up, "its ids begin with f1c710"


@pytest.mark.parametrize("entry", READ, ids=_name)
def test_only_samples_carry_the_flag_of_samples(entry: Entry) -> None:
    assert ("sample" in entry.flags) == (
        entry.name.startswith("sample") and "no sample:" not in entry.why
    )


# -- how it is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", READ, ids=_name)
def test_a_finding_is_read_and_goes_to_its_playbook(entry: Entry) -> None:
    event: Any = entry.read()
    detail = event["detail"]
    seen = finding.parse(event)
    resource = detail["resource"] if isinstance(detail["resource"], dict) else {}
    assert seen.type == detail["type"]
    assert seen.resource_type == (resource.get("resourceType") or "")
    assert seen.severity == float(detail["severity"])
    assert seen.sample == ("sample" in entry.flags)
    assert seen.archived == ("archived" in entry.flags)
    # Never the envelope's: the administrator's account and often another Region stand there.
    arn = detail["arn"].split(":")
    assert seen.account_id == detail.get("accountId", arn[4])
    assert seen.region == detail.get("region", arn[3])
    assert seen.partition == detail.get("partition", arn[1])
    playbook, reason = manifests.playbook_for(seen)
    assert playbook == entry.playbook, entry.why
    assert entry.words in reason
    assert bool(manifests.doubt_about(seen)) == ("in_doubt" in entry.flags)


@pytest.mark.parametrize("entry", READ, ids=_name)
def test_the_catalogue_names_the_same_playbook_for_the_type(entry: Entry) -> None:
    """What its resource or role exempts is answered by nobody; nothing is answered by another."""
    seen = finding.parse(entry.read())
    playbook, _ = manifests.playbook_for(seen)
    if seen.type not in UNKNOWN_TYPES:
        assert playbook in (None, playbook_of(seen.type))


@pytest.mark.parametrize(
    "entry", [entry for entry in CORPUS if entry.outcome in REFUSED], ids=_name
)
def test_what_is_no_finding_is_refused_in_words(entry: Entry) -> None:
    with pytest.raises((NotAFinding, MalformedFinding)) as caught:
        finding.parse(entry.read())
    assert type(caught.value).__name__ == entry.outcome, entry.why
    assert entry.words in str(caught.value)
    assert 30 < len(str(caught.value)) < 1200


@pytest.mark.parametrize("entry", corpus("export"), ids=_name)
def test_an_exported_finding_is_read_once_it_is_in_its_envelope(entry: Entry) -> None:
    detail: Any = entry.read()
    seen = finding.parse(
        {
            "source": "aws.guardduty",
            "detail-type": "GuardDuty Finding",
            "account": "444455556666",
            "region": "eu-west-1",
            "detail": detail,
        }
    )
    assert (seen.type, seen.account_id) == (detail["type"], detail["accountId"])
    assert manifests.playbook_for(seen)[0] == playbook_of(seen.type)


# -- findings of somebody else, in addition --------------------------------------------------------


def test_added_findings_are_read_or_refused_in_words() -> None:
    """Files of GUARDDUTY_FINDINGS: read whole or refused, never half-read."""
    for path in added_files():
        event = json.loads(path.read_text())
        try:
            seen = finding.parse(event)
        except (NotAFinding, MalformedFinding) as error:
            assert len(str(error)) > 30, path
            continue
        assert seen.type == event["detail"]["type"].strip(), path
        assert re.fullmatch(r"\d{12}", seen.account_id), path
        assert manifests.playbook_for(seen)[1], path
