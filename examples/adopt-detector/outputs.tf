output "detector_id" {
  description = "The detector that is used."
  value       = module.guardduty_response.detector_id
}

output "effective_policy" {
  description = "Which finding type is answered how."
  value       = module.guardduty_response.effective_policy
}
