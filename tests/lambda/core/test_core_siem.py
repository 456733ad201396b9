"""The link into a search of one's own logs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from guardduty_response import siem

Json = dict[str, Any]
META = {"opened_at": "2026-01-02T03:04:05.000000Z", "updated_at": "2026-01-02T04:00:00.000000Z", "account_id": "222222222222",
        "region": "eu-west-1", "finding_id": "f1"}  # fmt: skip
# What Terraform takes: https, and no braces but those of a known placeholder.
VALID = re.compile(r"^https://[^{}\s]+(\{(" + "|".join(siem.PLACEHOLDERS) + r")\}[^{}\s]*)*$")


def user(**more: Any) -> Json:
    return {"kind": "iam_user", "id": "alice", "account_id": "222222222222", "region": "us-east-1", **more}


def test_every_placeholder_is_filled_in() -> None:
    template = "https://siem.example/search?q=" + "|".join(f"{name}={{{name}}}" for name in siem.PLACEHOLDERS)
    listed = {"key": "AKIA1", "window": [1767225600, 1767312000], "cut_off": "2026-01-02T01:00:00Z"}
    made = siem.link(template, siem.values(META, user(evidence={"actions": {"state": listed}})))
    assert unquote(made) == (
        "https://siem.example/search?q=user=alice|role=|session=|access_key=AKIA1|account=222222222222|region=us-east-1"
        "|start=2026-01-01T00:00:00Z|end=2026-01-02T01:00:00Z|start_epoch=1767225600|end_epoch=1767315600|finding_id=f1"
    )
    assert "{" not in made


def test_a_session_and_a_window_that_is_not_known() -> None:
    found = siem.values(META, {"kind": "role_session", "id": "app/i-1", "evidence": {}})
    assert (found["user"], found["role"], found["session"]) == ("", "app", "i-1")
    assert (found["start"], found["end"]) == ("2026-01-01T03:04:05Z", "2026-01-02T04:00:00Z")
    assert (found["account"], found["region"]) == ("222222222222", "eu-west-1")
    assert siem.values(META, {"kind": "role_session", "id": "app/*"})["session"] == ""


def test_values_are_quoted() -> None:
    made = siem.link("https://s/?q={user}&to={end}", {"user": "a+b=c@d/e", "end": "2026-01-02T01:00:00Z"})
    assert made == "https://s/?q=a%2Bb%3Dc%40d%2Fe&to=2026-01-02T01%3A00%3A00Z"
    assert parse_qs(urlsplit(made).query)["q"] == ["a+b=c@d/e"]


@pytest.mark.parametrize(
    "name", ['x" OR user="*', "x' | delete", "x\n\r", "x&to=0", "x{session}", "x` $(id)", "x\\", "x|y", "x*"]
)
def test_a_name_cannot_change_the_search(name: str) -> None:
    made = siem.link("https://s/?q=user%3D%22{user}%22&to={end}", {"user": name, "end": "1", "session": "S"})
    query = parse_qs(urlsplit(made).query, keep_blank_values=True)
    assert set(query) == {"q", "to"} and query["to"] == ["1"]
    assert re.fullmatch(r'user="[\w+=,.@:/-]*"', query["q"][0])


def test_a_value_is_not_filled_in_again() -> None:
    assert siem.link("https://s/{user}", {"user": "{role}", "role": "R"}) == "https://s/role"


def test_unknown_placeholders_stay_and_terraform_refuses_them() -> None:
    assert siem.link("https://s/{usr}/{user}/{ user }", {"user": "a"}) == "https://s/{usr}/a/{ user }"
    assert VALID.match("https://s/?a={user}&b={start_epoch}")
    assert VALID.match("https://s/")
    for wrong in (
        "https://s/{usr}",
        "http://s/{user}",
        "https://s/{user",
        "https://s/{user}}",
        "https://s/ {user}",
        "https://{user}",
    ):
        assert not VALID.match(wrong), wrong


def test_no_value_is_empty() -> None:
    assert siem.link("https://s/?q={user}{session}", {"user": None}) == "https://s/?q="
