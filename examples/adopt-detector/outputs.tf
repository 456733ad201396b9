output "detector_id" {
  description = "The detector that is used."
  value       = module.guardduty_response.detector_id
}

output "policy_summary" {
  description = "What is done for which finding type, a line for each that is not only notified: read it in the plan."
  value       = module.guardduty_response.policy_summary
}
