output "policy_summary" {
  description = "What is done for which finding type, a line for each that is not only notified: read it in the plan."
  value       = module.guardduty_response.policy_summary
}

output "detector_id" {
  description = "The security account's detector."
  value       = module.guardduty.detector_id
}

output "responder_role_arns" {
  description = "The roles in the member account."
  value       = module.responder_role.role_arns
}
