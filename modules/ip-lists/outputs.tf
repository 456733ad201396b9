output "locations" {
  description = "Maps trusted/name and threat/name to the location from which GuardDuty reads the list."
  value       = local.locations
}

output "bucket_name" {
  description = "Bucket of the lists that are written here (null if there are none)."
  value       = module.files.bucket_name
}
