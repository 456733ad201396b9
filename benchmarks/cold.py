"""Cold start and memory of the playbook function, against a bare boto3 script that makes the
same clients.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from .measure import ROOT, Figure, paired, unpack

ZIP = ROOT / "lambda_src" / "dist" / "playbook_ec2_instance.zip"
OURS = """
import guardduty_response.functions.respond
from guardduty_response.functions import contain_step, plan_step
from guardduty_response.aws import clients
from guardduty_response.containment.contract import load
load("ec2_instance")
for name in ("sts", "dynamodb", "ec2"):
    clients.client(name)
"""
BARE = """
import boto3
for name in ("sts", "dynamodb", "ec2"):
    boto3.client(name)
"""


def cold(runs: int) -> list[Figure]:
    """Measure the unpacked zip as Lambda runs it: our code has the bytecode that the zip has,
    botocore and boto3 keep what pip compiled.
    """
    with tempfile.TemporaryDirectory() as folder:
        unpack(ZIP, Path(folder))
        ratio = paired(OURS, BARE, runs=runs, first_paths=[Path(folder)], second_paths=[])
    note = (
        f"playbook zip / bare boto3, import and clients sts, dynamodb, ec2; best of {runs} in turns"
    )
    return [
        Figure("cold import and clients", ratio["seconds"], "×", 0.70, note),
        Figure("peak memory", ratio["megabytes"], "×", 0.62, note),
    ]


def zips() -> list[Figure]:
    """Report the size of each zip; it has no limit, the cold start has."""
    return [
        Figure(path.name, path.stat().st_size / 1000, "KB", note="committed zip")
        for path in sorted(ZIP.parent.glob("*.zip"))
    ]
