output "suppression_filters" {
  description = "Name of the filter => { rank, arn }."
  value       = merge(module.suppression_filters[*].filters...)
}

output "ip_list_locations" {
  description = "trusted/name and threat/name => where GuardDuty reads the list."
  value       = merge(module.ip_lists[*].locations...)
}

output "findings_export" {
  description = "bucket_name, kms_key_arn, destination_id, and what the policies of a bucket and key brought along must hold (bucket_policy_statements, key_policy_statement, as JSON); null while nothing is exported."
  value       = one(module.findings_export[*])
}

output "malware_protection_plans" {
  description = "Bucket => { plan_id, plan_arn, role_arn }."
  value       = merge(module.malware_protection_s3[*].plans...)
}

output "spend_watch" {
  description = "budget_name, and trial_notice_at: when the topic is told of the free trial's end; null while nothing is watched."
  value       = one(module.spend_watch[*])
}
