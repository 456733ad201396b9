output "kms_key_arn" {
  description = "The key in this Region."
  value       = aws_kms_replica_key.evidence.arn
}
