output "kms_key_arn" {
  description = "The key that encrypts everything: your own."
  value       = module.guardduty_response.kms_key_arn
}

output "kms_key_policy_statements" {
  description = "The statements that the key's policy must contain beside its owner's, as JSON. existing.tf contains them."
  value       = module.guardduty_response.kms_key_policy_statements
}

output "notifications_topic_arn" {
  description = "Topic for notifications."
  value       = module.guardduty_response.notifications_topic_arn
}

output "escalations_topic_arn" {
  description = "Topic for what must not wait."
  value       = module.guardduty_response.escalations_topic_arn
}

output "evidence_bucket" {
  description = "Where findings, records and evidence are kept."
  value       = module.guardduty_response.evidence_bucket
}

output "responder_role_arns" {
  description = "The roles through which resources of this account are changed, with the given path."
  value       = module.responder_role.role_arns
}
