"""Requests and answers as CloudTrail writes them."""

from __future__ import annotations

from typing import Any

NAMES = {
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
    "CreateFunction": "CreateFunction20150331",
}
_RENAMED = {
    "SecurityGroupRules": "securityGroupRuleSet",
    "Instances": "instancesSet",
    "UserIdGroupPairs": "groups",
    "Bucket": "bucketName",
    "PublicAccessBlockConfiguration": "PublicAccessBlockConfiguration",
}
_SECRET = ("SecretAccessKey", "Password", "ZipFile", "SessionToken")


def as_cloudtrail(service: str, node: Any, inside: str = "") -> Any:
    """Return names in lower camel case, EC2's lists as {"items": […]}, S3's configuration
    unchanged, and nothing secret.
    """
    if isinstance(node, dict):
        return {
            (
                name
                if inside == "PublicAccessBlockConfiguration"
                else _RENAMED.get(name, name[:1].lower() + name[1:])
            ): as_cloudtrail(service, value, name)
            for name, value in node.items()
            if name not in _SECRET
        }
    if isinstance(node, list):
        values = [as_cloudtrail(service, member) for member in node]
        return {"items": values} if service == "ec2" else values
    return node
