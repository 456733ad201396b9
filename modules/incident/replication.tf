# Replicates the incidents' objects into another account, so that nobody in this one can delete every copy of them.
# Deletions are not replicated: the role may not, and delete markers are switched off. If the bucket is brought along,
# replicating it is up to its owner.

locals {
  replica       = var.evidence.create_bucket ? var.evidence.replica : null
  replica_count = local.replica == null ? 0 : 1

  # Replication time control needs the metrics.
  replica_metrics = local.replica == null ? false : local.replica.metrics || local.replica.time_control
  replica_rule    = "incidents"

  # The owner of the other account becomes the owner of the replica. In the same account, S3 takes no such setting.
  replica_elsewhere = try(local.replica.account_id, var.account_id) != var.account_id

  # With an S3 Bucket Key, the encryption context is the bucket's ARN, otherwise the object's. The destination's key
  # is decrypted with as well, because S3 checks the bucket key before it uses it (Amazon S3 User Guide, "Replicating
  # encrypted objects"). Reading the replicas would need s3:GetObject, which nobody here has.
  replication_policy = local.replica == null ? null : jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Look"
        Effect   = "Allow"
        Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
        Resource = local.bucket_arn
      },
      # Retention and legal hold belong to what is replicated from a bucket with Object Lock, and a bucket that had it
      # once keeps it, whatever evidence.object_lock says now.
      {
        Sid    = "Read"
        Effect = "Allow"
        Action = [
          "s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging",
          "s3:GetObjectRetention", "s3:GetObjectLegalHold",
        ]
        Resource = "${local.bucket_arn}/incidents/*"
      },
      {
        Sid      = "Replicate"
        Effect   = "Allow"
        Action   = concat(["s3:ReplicateObject", "s3:ReplicateTags"], local.replica_elsewhere ? ["s3:ObjectOwnerOverrideToBucketOwner"] : [])
        Resource = "${local.replica.bucket_arn}/incidents/*"
      },
      {
        Sid      = "Decrypt"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService"                   = "s3.${local.region}.*"
            "kms:EncryptionContext:aws:s3:arn" = [local.bucket_arn, "${local.bucket_arn}/incidents/*"]
          }
        }
      },
      {
        Sid      = "EncryptReplicas"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
        Resource = local.replica.kms_key_arn
        Condition = {
          StringLike = {
            "kms:ViaService"                   = "s3.${split(":", local.replica.kms_key_arn)[3]}.*"
            "kms:EncryptionContext:aws:s3:arn" = [local.replica.bucket_arn, "${local.replica.bucket_arn}/incidents/*"]
          }
        }
      },
    ]
  })
}

# modules/forensics-account names this role.
resource "aws_iam_role" "replication" {
  count = local.replica_count

  name                 = "${var.name_prefix}-evidence-replication"
  description          = "GuardDuty response: Amazon S3 replicates the evidence bucket with it. It can delete nothing."
  path                 = var.iam.path
  permissions_boundary = var.iam.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "s3.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "replication" {
  count = local.replica_count

  name   = "replicate"
  role   = aws_iam_role.replication[0].id
  policy = local.replication_policy
}

resource "aws_s3_bucket_replication_configuration" "evidence" {
  count = local.replica_count

  bucket = aws_s3_bucket.evidence[0].id
  role   = aws_iam_role.replication[0].arn

  rule {
    id       = local.replica_rule
    status   = "Enabled"
    priority = 0

    filter {
      prefix = "incidents/"
    }

    delete_marker_replication {
      status = "Disabled"
    }

    source_selection_criteria {
      sse_kms_encrypted_objects {
        status = "Enabled"
      }
    }

    destination {
      bucket  = local.replica.bucket_arn
      account = local.replica_elsewhere ? local.replica.account_id : null

      dynamic "access_control_translation" {
        for_each = local.replica_elsewhere ? [1] : []

        content {
          owner = "Destination"
        }
      }

      encryption_configuration {
        replica_kms_key_id = local.replica.kms_key_arn
      }

      dynamic "metrics" {
        for_each = local.replica_metrics ? [1] : []

        content {
          status = "Enabled"

          dynamic "event_threshold" {
            for_each = local.replica.time_control ? [1] : []

            content {
              minutes = 15
            }
          }
        }
      }

      dynamic "replication_time" {
        for_each = local.replica.time_control ? [1] : []

        content {
          status = "Enabled"

          time {
            minutes = 15
          }
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = split(":", local.replica.bucket_arn)[1] == var.partition
      error_message = "evidence.replica.bucket_arn (${local.replica.bucket_arn}) is in another partition than ${var.partition}: S3 replicates within a partition alone."
    }
    precondition {
      condition     = local.replica.bucket_arn != local.bucket_arn
      error_message = "evidence.replica.bucket_arn is the evidence bucket itself (${local.replica.bucket_arn}). Name another bucket, best in another account (modules/forensics-account)."
    }
  }

  # S3 refuses it before versions are kept, and the first objects would fail before the role may replicate them. Object
  # Lock comes first where both are new: the destination must have it too, and S3 checks that here.
  depends_on = [
    aws_s3_bucket_versioning.evidence,
    aws_s3_bucket_object_lock_configuration.evidence,
    aws_iam_role_policy.replication,
  ]
}
