output "policy_summary" {
  description = "What is done for which finding type, a line for each that is not only notified: read it in the plan."
  value       = module.guardduty_response.policy_summary
}

output "incident_state_machine_arn" {
  description = "ARN of the state machine that answers findings."
  value       = module.guardduty_response.incident_state_machine_arn
}
