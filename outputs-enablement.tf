output "detector_arn" {
  description = "ARN of the GuardDuty detector (null if none is created or named)."
  value       = try(module.detector[0].arn, null)
}

output "detector_features" {
  description = "Maps the protection plans and configurations that are managed in this account to ENABLED or DISABLED."
  value       = try(module.detector[0].features, tomap({}))
}

output "organization_features" {
  description = "Maps the protection plans and configurations of the organization's members to ALL, NEW or NONE (empty if organization.manage is false)."
  value       = try(module.detector[0].organization_features, tomap({}))
}

output "member_features" {
  description = "Maps an account id, and then a protection plan or configuration, to ENABLED or DISABLED: the exceptions of single members."
  value       = try(module.detector[0].member_features, tomap({}))
}
