locals {
  bucket_arn  = var.evidence.create_bucket ? "arn:${var.partition}:s3:::${local.bucket_name}" : var.evidence.bucket_arn
  bucket_name = var.evidence.create_bucket ? concat(["${var.name_prefix}-evidence-${var.account_id}-${local.region}"], aws_s3_bucket.evidence[*].bucket)[0] : try(split(":::", var.evidence.bucket_arn)[1], null)

  bucket_count = var.evidence.create_bucket ? 1 : 0
}

resource "aws_s3_bucket" "evidence" {
  #checkov:skip=CKV_AWS_18:every write is recorded with its hash in the incident record; CloudTrail data events are the account's choice
  #checkov:skip=CKV_AWS_144:replication into another account is the owner's choice (evidence.replica, replication.tf)
  #checkov:skip=CKV2_AWS_61:evidence is kept until evidence.expire_after_days is set
  #checkov:skip=CKV2_AWS_62:nothing waits for objects; the state machine knows what it wrote
  count = local.bucket_count

  bucket        = "${var.name_prefix}-evidence-${var.account_id}-${local.region}"
  force_destroy = var.evidence.force_destroy
  tags          = var.tags

  # Object Lock is a setting of its own, below: object_lock_enabled here would replace a bucket that exists.

  lifecycle {
    # This also makes the bucket depend on its key. If a destroy stops at the bucket because it contains evidence, it
    # must stop before the key, without which nobody can read the evidence.
    precondition {
      condition     = split(":", var.kms_key_arn)[3] == local.region
      error_message = "The evidence bucket is made in ${local.region}, and kms.key_arn is a key of ${split(":", var.kms_key_arn)[3]}: S3 encrypts with keys of the bucket's Region alone. Give a key of ${local.region}."
    }
  }
}

resource "aws_s3_bucket_versioning" "evidence" {
  count = local.bucket_count

  bucket = aws_s3_bucket.evidence[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "evidence" {
  count = local.bucket_count

  bucket = aws_s3_bucket.evidence[0].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "evidence" {
  count = local.bucket_count

  bucket                  = aws_s3_bucket.evidence[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "evidence" {
  count = local.bucket_count

  bucket = aws_s3_bucket.evidence[0].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "evidence" {
  count = local.bucket_count

  bucket = aws_s3_bucket.evidence[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses two changes of a bucket's access settings at once.
  depends_on = [aws_s3_bucket_public_access_block.evidence]
}

resource "aws_s3_bucket_object_lock_configuration" "evidence" {
  count = var.evidence.object_lock != null ? local.bucket_count : 0

  bucket = aws_s3_bucket.evidence[0].id
  rule {
    default_retention {
      mode = var.evidence.object_lock.mode
      days = var.evidence.object_lock.days
    }
  }

  depends_on = [aws_s3_bucket_versioning.evidence]
}

resource "aws_s3_bucket_lifecycle_configuration" "evidence" {
  count = var.evidence.expire_after_days != null ? local.bucket_count : 0

  bucket = aws_s3_bucket.evidence[0].id
  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.evidence.expire_after_days
    }
    noncurrent_version_expiration {
      noncurrent_days = var.evidence.expire_after_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.evidence]
}
