output "forensics_account" {
  description = "The value of evidence.forensics_account in the root module: account, key and copy role."
  value = {
    account_id     = local.account_id
    kms_key_arn    = aws_kms_key.evidence.arn
    copy_role_name = aws_iam_role.vault.name # its path is the iam.path of both sides
  }
  depends_on = [aws_iam_role_policy.vault]
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

output "trust_policy" {
  description = "Trust policy of the copy role, as JSON."
  value       = local.trust_policy
}

output "copy_policy" {
  description = "What the copy role may do, as JSON."
  value       = aws_iam_role_policy.vault.policy
}
