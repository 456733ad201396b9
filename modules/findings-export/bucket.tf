resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:only GuardDuty writes here, and reading is in CloudTrail's data events, which are the account's choice
  #checkov:skip=CKV_AWS_144:replication is the owner's choice; bring a replicated bucket along with create_bucket = false
  #checkov:skip=CKV2_AWS_61:findings are kept until expire_after_days is set
  #checkov:skip=CKV2_AWS_62:nothing waits for objects; the response gets findings from EventBridge
  count = var.create_bucket ? 1 : 0

  bucket        = local.bucket_name
  force_destroy = var.force_destroy
  tags          = var.tags

  # Object Lock is a setting of its own, below: object_lock_enabled here would replace a bucket that exists.
  #
  # If a destroy stops at this bucket because it contains findings, it must stop before their key. Nothing else here
  # depends on the key as long as the bucket exists.
  depends_on = [aws_kms_key.this]
}

resource "aws_s3_bucket_versioning" "this" {
  count = var.create_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  count = var.create_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  count = var.create_bucket ? 1 : 0

  bucket                  = aws_s3_bucket.this[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  count = var.create_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "this" {
  count = var.create_bucket ? 1 : 0

  bucket = aws_s3_bucket.this[0].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.bucket_statements })

  # S3 refuses two changes of a bucket's access settings at once.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_object_lock_configuration" "this" {
  count = var.create_bucket && var.object_lock != null ? 1 : 0

  bucket = aws_s3_bucket.this[0].id
  rule {
    default_retention {
      mode = var.object_lock.mode
      days = var.object_lock.days
    }
  }

  # The placeholder of the prefix must not be locked, because it is deleted with the module.
  depends_on = [aws_s3_bucket_versioning.this, aws_s3_object.prefix]
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  count = var.create_bucket && var.expire_after_days != null ? 1 : 0

  bucket = aws_s3_bucket.this[0].id
  rule {
    id     = "expire"
    status = "Enabled"

    # This is for findings, not for the placeholder of the prefix.
    filter {
      prefix = local.prefix == "" ? "AWSLogs/" : "${local.prefix}/AWSLogs/"
    }

    expiration {
      days = var.expire_after_days
    }
    noncurrent_version_expiration {
      noncurrent_days = var.expire_after_days
    }
  }

  rule {
    id     = "uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
