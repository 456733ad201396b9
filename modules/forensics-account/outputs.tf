output "forensics_account" {
  description = "The value of evidence.forensics_account in the root module: account, key and copy role."
  value = {
    account_id     = local.account_id
    kms_key_arn    = aws_kms_key.evidence.arn
    copy_role_name = aws_iam_role.vault.name # its path is the iam.path of both sides
  }
  depends_on = [aws_iam_role_policy.vault]
}

output "evidence_replica" {
  description = "The value of evidence.replica in the root module: the bucket that receives replicas of the evidence, its account and key. null without the bucket."
  value = local.evidence_replica.create ? {
    bucket_arn  = local.replica_arn
    account_id  = local.account_id
    kms_key_arn = aws_kms_key.evidence.arn
    object_lock = true
  } : null
  # S3 takes no replication rule while the destination keeps no versions.
  depends_on = [
    aws_s3_bucket_versioning.evidence_replica,
    aws_s3_bucket_ownership_controls.evidence_replica,
    aws_s3_bucket_policy.evidence_replica,
  ]
}

output "for_replicas" {
  description = "The value of primary in modules/forensics-replica, in another Region of this account."
  value = {
    kms_key_arn = aws_kms_key.evidence.arn
    key_policy  = local.key_policy
    alias       = aws_kms_alias.evidence.name
    tags        = var.tags
  }
}

output "vault_role_arn" {
  description = "ARN of the role that copies shared snapshots into this account."
  value       = aws_iam_role.vault.arn
}

output "key_policy" {
  description = "Policy of the key, as JSON."
  value       = local.key_policy
}

output "evidence_replica_policy" {
  description = "Policy of the bucket for replicas, as JSON. null without the bucket."
  value       = one(aws_s3_bucket_policy.evidence_replica[*].policy)
}

output "trust_policy" {
  description = "Trust policy of the copy role, as JSON."
  value       = local.trust_policy
}

output "copy_policy" {
  description = "What the copy role may do, as JSON."
  value       = aws_iam_role_policy.vault.policy
}
