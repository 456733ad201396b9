output "detector_arn" {
  description = "ARN of the GuardDuty detector (null when none is created or named)."
  value       = try(module.detector[0].arn, null)
}

output "detector_features" {
  description = "Protection plans and configurations managed in this account => ENABLED or DISABLED."
  value       = try(module.detector[0].features, tomap({}))
}

output "organization_features" {
  description = "Protection plans and configurations of the organization's members => ALL, NEW or NONE (empty while organization.manage is false)."
  value       = try(module.detector[0].organization_features, tomap({}))
}

output "member_features" {
  description = "Exceptions of single members: account id => protection plan or configuration => ENABLED or DISABLED."
  value       = try(module.detector[0].member_features, tomap({}))
}
