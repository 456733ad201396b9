output "region" {
  description = "The Region this is deployed to."
  value       = module.forwarder.region

  # This is not a condition of the data source, because that would be read only after everything in the aggregation
  # Region is applied.
  precondition {
    condition     = data.aws_caller_identity.current.account_id == var.home.security_account_id
    error_message = "The provider of modules/region is of account ${data.aws_caller_identity.current.account_id}, but home is of ${var.home.security_account_id}: give it the security account's provider of the other Region. In member accounts, modules/region-forwarder forwards what is needed."
  }
  # Keys are known in every plan. Whether a value is right is not, while it is known after the apply only.
  precondition {
    condition     = length(module.organization_settings.misspelt) == 0
    error_message = join("\n", module.organization_settings.misspelt)
  }
  precondition {
    condition     = length(module.organization_settings.wrong) == 0
    error_message = join("\n", module.organization_settings.wrong)
  }
}

output "detector_id" {
  description = "Id of this Region's detector (null if GuardDuty is not managed here)."
  value       = one(module.guardduty[*].detector_id)

  precondition {
    condition     = local.is_managed_at_home || alltrue([for set in [local.detector.id, local.detector.finding_publishing_frequency, local.findings_export.create, local.organization_here.manage] : set == null]) && length(local.detector.features) == 0 && local.detector.create
    error_message = "detector, organization and findings_export do nothing: the aggregation Region does not manage GuardDuty (guardduty is null there), so this Region does not either. Set guardduty there, or call modules/guardduty with the provider of this Region, and take them out here."
  }
  precondition {
    condition     = length(module.settings.misspelt) == 0
    error_message = join("\n", module.settings.misspelt)
  }
  precondition {
    condition     = length(module.settings.wrong) == 0
    error_message = join("\n", module.settings.wrong)
  }
}

output "detector_arn" {
  description = "ARN of this Region's detector (null if GuardDuty is not managed here)."
  value       = one(module.guardduty[*].detector_arn)
}

output "forwarder_role_arn" {
  description = "ARN of the role that forwards this Region's events."
  value       = module.forwarder.role_arn
}

output "undelivered_queue_url" {
  description = "URL of the queue of events that could not be forwarded within a day. People read it."
  value       = module.forwarder.undelivered_queue_url
}

output "alarm_topic_arn" {
  description = "ARN of the topic that is created for email_addresses (null without any)."
  value       = module.forwarder.alarm_topic_arn
}

output "forensics_document_arn" {
  description = "ARN of the document that collects data from this Region's instances (null if forensics is off)."
  value       = try(module.forensics[0].document_arn, null)
}

output "findings_export" {
  description = <<-EOT
    bucket_name, kms_key_arn and destination_id of this Region's export, and what the policies of your own bucket and
    key must contain for it (bucket_policy_statements, key_policy_statement, as JSON). Null if nothing is exported.
  EOT
  value       = one(module.guardduty[*].findings_export)

  # The bucket that is created for the aggregation Region is in the Region of its key, and GuardDuty accepts a bucket
  # and a key of one Region only.
  precondition {
    condition     = !(local.export.create && !local.export_bucket && local.export_key && local.findings_export.bucket_arn == null)
    error_message = "Findings of this Region cannot go to your own bucket of the aggregation Region (${try(coalesce(local.home_export.bucket_arn), "-")}) with a key that is created here: GuardDuty accepts bucket and key of one Region. Set findings_export of modules/region: create_key = false with kms_key_arn of home's key (output findings_export.kms_key_arn there, whose policy must then hold this Region's statement), or a bucket of this Region (create_bucket = true, or bucket_arn), or create = false."
  }
}
