"""What people are told: a queue subscribed to the module's topics, as an e-mail address would
be.
"""

from __future__ import annotations

import json
from typing import Any

from . import settings
from .clients import Aws

NAME = "sandbox-inbox"


def create(aws: Aws, topics: list[str]) -> str:
    """Make the inbox queue, subscribed to the topics; return its URL."""
    sqs = aws.client("sqs", settings.SECURITY_ACCOUNT)
    arn = f"arn:aws:sqs:{aws.region}:{settings.SECURITY_ACCOUNT}:{NAME}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url: str = sqs.create_queue(QueueName=NAME, Attributes={"Policy": policy})["QueueUrl"]
    sns = aws.client("sns", settings.SECURITY_ACCOUNT)
    for topic in dict.fromkeys(topics):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def read(aws: Aws, url: str) -> list[dict[str, Any]]:
    """Take every message out of the inbox: ``{"topic", "subject", "message"}``, oldest first."""
    sqs = aws.client("sqs", settings.SECURITY_ACCOUNT)
    found: list[dict[str, Any]] = []
    while True:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if not messages:
            return found
        for message in messages:
            body = json.loads(message["Body"])
            topic = body["TopicArn"].rsplit(":", 1)[-1]
            found.append(
                {"topic": topic, "subject": body.get("Subject"), "message": body["Message"]}
            )
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
