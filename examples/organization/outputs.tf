output "effective_policy" {
  description = "The effective policy: which finding type has which mode."
  value       = module.guardduty_response.effective_policy
}

output "detector_id" {
  description = "The security account's detector."
  value       = module.guardduty_response.detector_id
}

output "responder_role_arns" {
  description = "The roles in the member account."
  value       = module.responder_role.role_arns
}
