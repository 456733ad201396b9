# The bucket into which Amazon S3 replicates the evidence bucket of the security account: metadata, logs, forensics, the
# manifest and the report. Who controls the security account can add to it, and neither read nor delete what is there.

locals {
  replica_count = local.evidence_replica.create ? 1 : 0
  replica_name  = "${var.name_prefix}-evidence-replica-${local.account_id}"
  replica_arn   = "arn:${local.partition}:s3:::${local.replica_name}"

  # The role is a condition and not a principal, for the reason that the collector roles are.
  replication_principal = { AWS = "arn:${local.partition}:iam::${var.security_account_id}:root" }
  replication_condition = merge(
    { ArnEquals = { "aws:PrincipalArn" = "arn:${local.partition}:iam::${var.security_account_id}:role${local.iam.path}${var.name_prefix}-evidence-replication" } },
    { for operator, keys in { StringEquals = local.of_organization } : operator => keys if length(keys) > 0 },
  )

  # It decrypts, because S3 checks an S3 Bucket Key before it uses it; with such a key, the encryption context is the
  # bucket's ARN (Amazon S3 User Guide, "Replicating encrypted objects").
  replication_key_statements = [
    for statement in [{
      Sid       = "EvidenceReplicas"
      Effect    = "Allow"
      Principal = local.replication_principal
      Action    = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
      Resource  = "*"
      Condition = merge(local.replication_condition, {
        StringLike = {
          "kms:ViaService"                   = "s3.*.${data.aws_partition.current.dns_suffix}"
          "kms:EncryptionContext:aws:s3:arn" = [local.replica_arn, "${local.replica_arn}/incidents/*"]
        }
      })
    }] : statement if local.evidence_replica.create
  ]

  # Nothing here allows s3:ReplicateDelete, s3:DeleteObject, s3:GetObject or s3:PutBucketVersioning.
  replica_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.replica_arn, "${local.replica_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "ReplicasOfTheEvidence"
        Effect    = "Allow"
        Principal = local.replication_principal
        Action    = ["s3:ObjectOwnerOverrideToBucketOwner", "s3:ReplicateObject", "s3:ReplicateTags"]
        Resource  = "${local.replica_arn}/incidents/*"
        Condition = local.replication_condition
      },
      {
        Sid       = "AreVersionsKept"
        Effect    = "Allow"
        Principal = local.replication_principal
        Action    = "s3:GetBucketVersioning"
        Resource  = local.replica_arn
        Condition = local.replication_condition
      },
    ]
  })
}

resource "aws_s3_bucket" "evidence_replica" {
  #checkov:skip=CKV_AWS_18:S3 alone writes here, for one role; CloudTrail data events are the account's choice
  #checkov:skip=CKV_AWS_144:it is the replica
  #checkov:skip=CKV2_AWS_61:replicas are kept until evidence_replica.expire_after_days is set
  #checkov:skip=CKV2_AWS_62:nothing waits for replicas; the response asks for the status of their source
  count = local.replica_count

  bucket        = local.replica_name
  force_destroy = local.evidence_replica.force_destroy
  # Whether or not the evidence bucket is locked: S3 replicates a locked bucket only into a bucket that has it.
  object_lock_enabled = true
  tags                = var.tags

  # If a destroy stops at the bucket because it contains replicas, it must stop before the key, without which nobody
  # can read them.
  depends_on = [aws_kms_key.evidence]
}

resource "aws_s3_bucket_versioning" "evidence_replica" {
  count = local.replica_count

  bucket = aws_s3_bucket.evidence_replica[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "evidence_replica" {
  count = local.replica_count

  bucket = aws_s3_bucket.evidence_replica[0].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.evidence.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "evidence_replica" {
  count = local.replica_count

  bucket                  = aws_s3_bucket.evidence_replica[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# Every replica belongs to this account, whatever the security account's replication rule says.
resource "aws_s3_bucket_ownership_controls" "evidence_replica" {
  count = local.replica_count

  bucket = aws_s3_bucket.evidence_replica[0].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "evidence_replica" {
  count = local.replica_count

  bucket = aws_s3_bucket.evidence_replica[0].id
  policy = local.replica_policy

  # S3 refuses two changes of a bucket's access settings at once.
  depends_on = [aws_s3_bucket_public_access_block.evidence_replica]
}

# A replica takes the retention of its source. This one is for what has none.
resource "aws_s3_bucket_object_lock_configuration" "evidence_replica" {
  count = local.evidence_replica.object_lock != null ? local.replica_count : 0

  bucket = aws_s3_bucket.evidence_replica[0].id
  rule {
    default_retention {
      mode = local.evidence_replica.object_lock.mode
      days = local.evidence_replica.object_lock.days
    }
  }

  depends_on = [aws_s3_bucket_versioning.evidence_replica]
}

resource "aws_s3_bucket_lifecycle_configuration" "evidence_replica" {
  count = local.evidence_replica.expire_after_days != null ? local.replica_count : 0

  bucket = aws_s3_bucket.evidence_replica[0].id
  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = local.evidence_replica.expire_after_days
    }
    noncurrent_version_expiration {
      noncurrent_days = local.evidence_replica.expire_after_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.evidence_replica]
}
