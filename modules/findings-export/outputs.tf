output "bucket_name" {
  description = "Name of the bucket with the findings, created here or your own."
  value       = local.bucket_name
  depends_on  = [aws_guardduty_publishing_destination.this]
}

output "kms_key_arn" {
  description = "ARN of the key that encrypts the findings. Whoever reads them needs kms:Decrypt on it."
  value       = local.kms_key_arn
}

output "destination_id" {
  description = "Id of the publishing destination, <detector>:<destination>."
  value       = aws_guardduty_publishing_destination.this.id
}

output "bucket_policy_statements" {
  description = <<-EOT
    JSON list of the statements that the bucket's policy must contain. They are set here if the bucket is created
    here. Their Sids end in the Region, because one policy may contain those of several Regions.
  EOT
  value       = jsonencode([for statement in local.bucket_statements : merge(statement, { Sid = "${statement.Sid}${local.region_word}" })])
}

output "key_policy_statement" {
  description = "JSON of the statement that the key's policy must contain. It is set here if the key is created here. Its Sid ends in the Region."
  value       = jsonencode(merge(local.key_statement, { Sid = "${local.key_statement.Sid}${local.region_word}" }))
}
