output "kms_key_arn" {
  description = "The key that encrypts everything: the one brought along."
  value       = module.guardduty_response.kms_key_arn
}

output "kms_key_policy_statements" {
  description = "What the key's policy must hold beside its owner's statement, as JSON: those of existing.tf."
  value       = module.guardduty_response.kms_key_policy_statements
}

output "notifications_topic_arn" {
  description = "Topic people are told on."
  value       = module.guardduty_response.notifications_topic_arn
}

output "escalations_topic_arn" {
  description = "Topic of what must not wait."
  value       = module.guardduty_response.escalations_topic_arn
}

output "evidence_bucket" {
  description = "Where findings, records and evidence are kept."
  value       = module.guardduty_response.evidence_bucket
}

output "responder_role_arns" {
  description = "The roles that act in this account, with the path that was given."
  value       = module.responder_role.role_arns
}
