output "detector_ids" {
  description = "Maps each Region to its detector."
  value = {
    (var.region) = module.guardduty_response.detector_id
    eu-west-1    = module.eu_west_1.detector_id
    us-east-1    = module.us_east_1.detector_id
  }
}

output "forensics_keys" {
  description = "Maps each Region to the key of the copies of its snapshots."
  value = {
    (var.region) = module.vault.forensics_account.kms_key_arn
    eu-west-1    = module.vault_eu_west_1.kms_key_arn
    us-east-1    = module.vault_us_east_1.kms_key_arn
  }
}

output "evidence_replica" {
  description = "The bucket of the forensics account into which the evidence is replicated."
  value       = module.vault.evidence_replica.bucket_arn
}

output "policy_summary" {
  description = "What is done for which finding type, a line for each that is not only notified: read it in the plan."
  value       = module.guardduty_response.policy_summary
}
