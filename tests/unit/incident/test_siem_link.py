"""The link into a search of one's own logs."""

from __future__ import annotations

import json
import re
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from guardduty_response.incident import siem_link
from guardduty_response.incident.model import IncidentRecord, TargetRecord

from tests.support.repository import ROOT

Json = dict[str, Any]
META: IncidentRecord = {
    "opened_at": "2026-01-02T03:04:05.000000Z",
    "updated_at": "2026-01-02T04:00:00.000000Z",
    "account_id": "222222222222",
    "region": "eu-west-1",
    "finding_id": "f1",
}


def user(**changes: Any) -> TargetRecord:
    fields = {
        "kind": "iam_user",
        "id": "alice",
        "account_id": "222222222222",
        "region": "us-east-1",
        **changes,
    }
    return cast(TargetRecord, fields)


def test_every_placeholder_is_filled_in() -> None:
    template = "https://siem.example/search?q=" + "|".join(
        f"{name}={{{name}}}" for name in siem_link.PLACEHOLDERS
    )
    listed = {"key": "AKIA1", "window": [1767225600, 1767312000], "cut_off": "2026-01-02T01:00:00Z"}
    made = siem_link.link(
        template, siem_link.values(META, user(evidence={"actions": {"state": listed}}))
    )
    assert unquote(made).split("|") == [
        "https://siem.example/search?q=user=alice",
        "role=",
        "session=",
        "access_key=AKIA1",
        "account=222222222222",
        "region=us-east-1",
        "start=2026-01-01T00:00:00Z",
        "end=2026-01-02T01:00:00Z",
        "start_epoch=1767225600",
        "end_epoch=1767315600",
        "finding_id=f1",
    ]
    assert "{" not in made


def test_a_session_and_a_window_that_is_not_known() -> None:
    found = siem_link.values(META, {"kind": "role_session", "id": "app/i-1", "evidence": {}})
    assert (found["user"], found["role"], found["session"]) == ("", "app", "i-1")
    assert (found["start"], found["end"]) == ("2026-01-01T03:04:05Z", "2026-01-02T04:00:00Z")
    assert (found["account"], found["region"]) == ("222222222222", "eu-west-1")
    assert siem_link.values(META, {"kind": "role_session", "id": "app/*"})["session"] == ""


def test_values_are_quoted() -> None:
    made = siem_link.link(
        "https://s/?q={user}&to={end}", {"user": "a+b=c@d/e", "end": "2026-01-02T01:00:00Z"}
    )
    assert made == "https://s/?q=a%2Bb%3Dc%40d%2Fe&to=2026-01-02T01%3A00%3A00Z"
    assert parse_qs(urlsplit(made).query)["q"] == ["a+b=c@d/e"]


@pytest.mark.parametrize(
    "name",
    [
        'x" OR user="*',
        "x' | delete",
        "x\n\r",
        "x&to=0",
        "x{session}",
        "x` $(id)",
        "x\\",
        "x|y",
        "x*",
    ],
)
def test_a_name_cannot_change_the_search(name: str) -> None:
    made = siem_link.link(
        "https://s/?q=user%3D%22{user}%22&to={end}", {"user": name, "end": "1", "session": "S"}
    )
    query = parse_qs(urlsplit(made).query, keep_blank_values=True)
    assert set(query) == {"q", "to"} and query["to"] == ["1"]
    assert re.fullmatch(r'user="[\w+=,.@:/-]*"', query["q"][0])


def test_a_value_is_not_filled_in_again() -> None:
    assert siem_link.link("https://s/{user}", {"user": "{role}", "role": "R"}) == "https://s/role"


def test_unknown_placeholders_stay() -> None:
    assert (
        siem_link.link("https://s/{usr}/{user}/{ user }", {"user": "a"})
        == "https://s/{usr}/a/{ user }"
    )


def test_terraform_takes_the_same_placeholders() -> None:
    """notifications.siem_search_url is checked when planned: what it lets pass is what is filled
    in here.
    """
    schema = json.loads((ROOT / "schema" / "variables" / "notifications.json").read_text())
    rule = schema["options"]["siem_search_url"]
    listed = re.search(r"\(([a-z_|]+)\)", rule["pattern"])
    assert listed
    assert set(listed.group(1).split("|")) == set(siem_link.PLACEHOLDERS)
    assert set(re.findall(r"\{(\w+)\}", rule["must"])) == set(siem_link.PLACEHOLDERS)


def test_before_anything_was_listed_the_plans_scope_is_known() -> None:
    scope = {"user": "", "role": "AWSReservedSSO_x", "session": "ann@example.com", "key": "ASIA1"}
    found = siem_link.values(
        META, {"kind": "identity_center", "id": "AWSReservedSSO_x", "scope": scope}
    )
    assert [found[name] for name in ("user", "role", "session", "access_key")] == [
        "",
        *list(scope.values())[1:],
    ]


def test_no_value_is_empty() -> None:
    assert siem_link.link("https://s/?q={user}{session}", {"user": None}) == "https://s/?q="
