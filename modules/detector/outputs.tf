output "id" {
  description = "Id of the detector (null when none was created or named)."
  value       = local.detector_id
  depends_on  = [aws_guardduty_detector_feature.this, aws_guardduty_detector_feature.rds, aws_guardduty_detector_feature.rds_data_risk]
}

output "arn" {
  description = "ARN of the detector. For an existing detector it is built from arn_base (null without it)."
  value = var.create ? one(aws_guardduty_detector.this[*].arn) : (
    var.id == null || var.arn_base == null ? null : "arn:${var.arn_base.partition}:guardduty:${var.arn_base.region}:${var.arn_base.account_id}:detector/${var.id}"
  )
}

output "features" {
  description = "Maps \"FEATURE\" and \"FEATURE/CONFIGURATION\" to ENABLED or DISABLED, for what is managed in this account."
  value       = tomap(local.features)
}

output "organization_features" {
  description = <<-EOT
    Maps "FEATURE" and "FEATURE/CONFIGURATION" to ALL, NEW or NONE, for the members. NONE switches nothing off where
    it is on. Empty if the organization is not managed.
  EOT
  value       = tomap(local.organization_flat)
}

output "member_features" {
  description = "Maps an account id, and then \"FEATURE\" and \"FEATURE/CONFIGURATION\", to ENABLED or DISABLED: the exceptions."
  value = tomap({
    for account, parts in {
      for one in values(local.member_features) : one.account_id => merge(
        { (one.name) = one.status },
        { for conf, status in one.configurations : "${one.name}/${conf}" => status },
      )...
    } : account => tomap(merge(parts...))
  })
}

output "managed_by" {
  description = <<-EOT
    Who says which accounts have which protection plans: MODULE, or GUARDDUTY_POLICY (a policy of AWS Organizations; then
    features has only what is named, and organization_features and member_features are empty).
  EOT
  value       = var.managed_by
}
