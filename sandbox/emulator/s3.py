"""Patches of MiniStack's S3: an object completed from parts keeps the lock it was created with."""

from __future__ import annotations

import re

from .ministack import s3
from .patching import Original, patch

_locks: dict[str, dict[str, str]] = {}


@patch(
    s3, "_create_multipart_upload", restores="object lock headers of CreateMultipartUpload are kept"
)
def create_multipart_upload(
    original: Original, bucket: str, key: str, headers: dict[str, str]
) -> object:
    result = original(bucket, key, headers)
    body = result[2] if isinstance(result[2], bytes) else result[2].encode()
    found = re.search(rb"<UploadId>([^<]+)", body)
    if found:
        locks = {
            name: value for name, value in headers.items() if name.startswith("x-amz-object-lock")
        }
        _locks[found.group(1).decode()] = locks
    return result


@patch(
    s3,
    "_complete_multipart_upload",
    restores="the completed object carries the lock asked for, or the bucket's default",
)
def complete_multipart_upload(
    original: Original, bucket: str, key: str, *args: object, **kwargs: object
) -> object:
    result = original(bucket, key, *args, **kwargs)
    upload = next(
        (item.get("uploadId") for item in args if isinstance(item, dict) and item.get("uploadId")),
        None,
    )
    upload = upload[0] if isinstance(upload, list) else upload
    if result[0] == 200 and upload in _locks:
        version = {name.lower(): value for name, value in result[1].items()}.get("x-amz-version-id")
        s3._apply_object_lock_from_headers(bucket, key, _locks.pop(upload), version)
    return result
