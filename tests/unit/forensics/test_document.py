"""The module's document and the scripts name the same settings; what a presigned URL looks like
fits the pattern.
"""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from tests.support.repository import ROOT
from tests.unit.forensics.script_lab import SCRIPT

MODULE = (ROOT / "modules" / "forensics" / "main.tf").read_text()
# Set by tests alone; the document leaves them at their defaults.
OWN = {"GDR_PATH", "GDR_CAPTURE_BYTES", "GDR_COMMAND_SECONDS"}


def test_linux_settings() -> None:
    used = set(re.findall(r"\bGDR_[A-Z0-9_]+", SCRIPT.read_text())) - OWN
    assert set(re.findall(r'"(GDR_[A-Z0-9_]+)=', MODULE)) == used


def test_windows_settings() -> None:
    text = SCRIPT.with_name("windows.ps1").read_text()
    assert set(re.findall(r'"\$(Gdr\w+) =', MODULE)) == set(re.findall(r"\$(Gdr\w+)", text))


def _pattern() -> str:
    [found] = re.findall(r'allowedPattern = "(.*)"', MODULE)
    return str(found).replace("\\\\", "\\")


@pytest.mark.parametrize(
    ("region", "bucket"),
    [
        ("us-east-1", "gdr-evidence-111111111111-us-east-1"),
        ("eu-central-1", "evidence"),
        ("us-gov-west-1", "evidence"),
        ("cn-north-1", "evidence"),
        ("eu-west-1", "dotted.name.of.a.bucket"),
    ],
)
def test_presigned_urls_fit_the_pattern(region: str, bucket: str) -> None:
    session: Any = botocore.session.Session()
    session.set_credentials(
        "AKIAEXAMPLE", "s", "IQoJb3JpZ2luX2VjE//////////wEaCXVzLWVhc3QtMSJHMEUCIQDx+="
    )
    s3 = session.create_client(
        "s3",
        region_name=region,
        config=Config(signature_version="s3v4"),
    )
    key = (
        "incidents/inc-0123456789abcdef/i-0123456789abcdef0/forensics/"
        "20261124T080000Z-0a1b2c3d/plan.txt"
    )
    url = s3.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=165
    )
    assert re.fullmatch(_pattern(), url), url
    other = url.replace("plan.txt", "other.txt")
    assert not re.fullmatch(_pattern(), other)
    for bad in ("'", '"', "$", "`", " ", "\n", ";", "|", "{", "\\", "<", "(", "#"):
        assert not re.fullmatch(_pattern(), url + bad), bad
        assert not re.fullmatch(_pattern(), url.replace("/incidents", f"/{bad}incidents")), bad
