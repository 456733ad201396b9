output "effective_policy" {
  description = "Which finding type is answered how."
  value       = module.guardduty_response.effective_policy
}

output "incident_state_machine_arn" {
  description = "The machine that answers."
  value       = module.guardduty_response.incident_state_machine_arn
}
