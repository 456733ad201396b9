output "effective_policy" {
  description = "The effective policy: which finding type has which mode."
  value       = module.guardduty_response.effective_policy
}

output "incident_state_machine_arn" {
  description = "ARN of the state machine that answers findings."
  value       = module.guardduty_response.incident_state_machine_arn
}
