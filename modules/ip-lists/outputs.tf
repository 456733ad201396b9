output "locations" {
  description = "trusted/name and threat/name => where GuardDuty reads the list."
  value       = local.locations
}

output "bucket_name" {
  description = "Bucket of the lists written here; null when there are none."
  value       = one(aws_s3_bucket.lists[*].bucket)
}
