output "detector_id" {
  description = "Id of the detector (null if none is created or named)."
  value       = module.detector.id

  # Keys are known in every plan. Whether a value is right is not, while it is known after the apply only.
  precondition {
    condition     = length(module.settings.misspelt) == 0
    error_message = "Keys that do not exist (README.md of modules/guardduty lists them):\n- ${join("\n- ", module.settings.misspelt)}"
  }
  precondition {
    condition     = length(module.settings.wrong) == 0
    error_message = "Wrong values (README.md of modules/guardduty):\n- ${join("\n- ", module.settings.wrong)}"
  }
}

output "detector_arn" {
  description = "ARN of the detector (null if none is created or named)."
  value       = module.detector.arn
}

output "features" {
  description = "Maps the protection plans and configurations that are managed in this account to ENABLED or DISABLED."
  value       = module.detector.features
}

output "features_in_use" {
  description = <<-EOT
    Maps each protection plan and configuration that is managed to ENABLED if it is on in this account, for new members
    or as an exception of a member, and to DISABLED otherwise. The root module takes it as guardduty_features.
  EOT
  value = tomap({
    for name in toset(concat(keys(module.detector.features), keys(module.detector.organization_features), flatten([for features in values(module.detector.member_features) : keys(features)]))) :
    name => anytrue([
      lookup(module.detector.features, name, "DISABLED") == "ENABLED",
      lookup(module.detector.organization_features, name, "NONE") != "NONE",
      anytrue([for features in values(module.detector.member_features) : lookup(features, name, "DISABLED") == "ENABLED"]),
    ]) ? "ENABLED" : "DISABLED"
  })
}

output "organization_features" {
  description = "Maps the protection plans and configurations of the organization's members to ALL, NEW or NONE (empty if organization.manage is false)."
  value       = module.detector.organization_features

  precondition {
    condition     = length(module.organization_settings.misspelt) == 0
    error_message = "Keys that do not exist (README.md of modules/guardduty lists them):\n- ${join("\n- ", module.organization_settings.misspelt)}"
  }
  precondition {
    condition     = length(module.organization_settings.wrong) == 0
    error_message = "Wrong values (README.md of modules/guardduty):\n- ${join("\n- ", module.organization_settings.wrong)}"
  }
}

output "member_features" {
  description = "Maps an account id, and then a protection plan or configuration, to ENABLED or DISABLED: the exceptions of single members."
  value       = module.detector.member_features
}

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
