output "bucket_name" {
  description = "Bucket the findings go to, created here or brought along."
  value       = local.bucket_name
  depends_on  = [aws_guardduty_publishing_destination.this]
}

output "kms_key_arn" {
  description = "Key the findings are encrypted with; who reads them needs kms:Decrypt on it."
  value       = local.kms_key_arn
}

output "destination_id" {
  description = "Id of the publishing destination, <detector>:<destination>."
  value       = aws_guardduty_publishing_destination.this.id
}

output "bucket_policy_statements" {
  description = "JSON list of the statements the bucket's policy must hold; set here when the bucket is created here. Their Sids end in the Region, as one policy may hold those of several."
  value       = jsonencode([for statement in local.bucket_statements : merge(statement, { Sid = "${statement.Sid}${local.region_word}" })])
}

output "key_policy_statement" {
  description = "JSON of the statement the key's policy must hold; set here when the key is created here. Its Sid ends in the Region."
  value       = jsonencode(merge(local.key_statement, { Sid = "${local.key_statement.Sid}${local.region_word}" }))
}
