output "suppression_filters" {
  description = "Maps the name of each filter to { rank, arn }."
  value       = merge(module.suppression_filters[*].filters...)
}

output "ip_list_locations" {
  description = "Maps trusted/name and threat/name to the location from which GuardDuty reads the list."
  value       = merge(module.ip_lists[*].locations...)
}

output "findings_export" {
  description = <<-EOT
    bucket_name, kms_key_arn, destination_id, and what the policies of your own bucket and key must contain
    (bucket_policy_statements, key_policy_statement, as JSON). Null if nothing is exported.
  EOT
  value       = one(module.findings_export[*])
}

output "malware_protection_plans" {
  description = "Maps each bucket to { plan_id, plan_arn, role_arn }."
  value       = merge(module.malware_protection_s3[*].plans...)
}

output "spend_watch" {
  description = "budget_name, and trial_notice_at: when the topic is notified of the end of the free trial. Null if nothing is watched."
  value       = one(module.spend_watch[*])
}
