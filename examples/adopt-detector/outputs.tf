output "detector_id" {
  description = "The detector that is used."
  value       = module.guardduty_response.detector_id
}

output "effective_policy" {
  description = "The effective policy: which finding type has which mode."
  value       = module.guardduty_response.effective_policy
}
