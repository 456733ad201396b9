# What became of the variable guardduty. All of it is empty or null without it.

output "detector_id" {
  description = "Id of the GuardDuty detector (null if none is created or named)."
  value       = one(module.guardduty[*].detector_id)
}

output "detector_arn" {
  description = "ARN of the GuardDuty detector (null if none is created or named)."
  value       = one(module.guardduty[*].detector_arn)
}

output "detector_features" {
  description = "Maps the protection plans and configurations that are managed in this account to ENABLED or DISABLED."
  value       = try(module.guardduty[0].features, tomap({}))
}

output "organization_features" {
  description = "Maps the protection plans and configurations of the organization's members to ALL, NEW or NONE (empty if guardduty.organization.manage is false)."
  value       = try(module.guardduty[0].organization_features, tomap({}))
}

output "member_features" {
  description = "Maps an account id, and then a protection plan or configuration, to ENABLED or DISABLED: the exceptions of single members."
  value       = try(module.guardduty[0].member_features, tomap({}))
}

output "suppression_filters" {
  description = "Maps the name of each filter to { rank, arn }."
  value       = merge(module.guardduty[*].suppression_filters...)
}

output "ip_list_locations" {
  description = "Maps trusted/name and threat/name to the location from which GuardDuty reads the list."
  value       = merge(module.guardduty[*].ip_list_locations...)
}

output "findings_export" {
  description = <<-EOT
    bucket_name, kms_key_arn, destination_id, and what the policies of your own bucket and key must contain
    (bucket_policy_statements, key_policy_statement, as JSON). Null if nothing is exported.
  EOT
  value       = one(module.guardduty[*].findings_export)
}

output "malware_protection_plans" {
  description = "Maps each bucket to { plan_id, plan_arn, role_arn }."
  value       = merge(module.guardduty[*].malware_protection_plans...)
}

output "spend_watch" {
  description = "budget_name, and trial_notice_at: when the topic is notified of the end of the free trial. Null if nothing is watched."
  value       = one(module.guardduty[*].spend_watch)
}
