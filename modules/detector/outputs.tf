output "id" {
  description = "Id of the detector (null when none was created or named)."
  value       = local.detector_id
  depends_on  = [aws_guardduty_detector_feature.this]
}

output "arn" {
  description = "ARN of the detector. Of one that exists, built from arn_base; null without it."
  value = var.create ? one(aws_guardduty_detector.this[*].arn) : (
    var.id == null || var.arn_base == null ? null : "arn:${var.arn_base.partition}:guardduty:${var.arn_base.region}:${var.arn_base.account_id}:detector/${var.id}"
  )
}

output "features" {
  description = "What is managed in this account: \"FEATURE\" and \"FEATURE/CONFIGURATION\" => ENABLED or DISABLED."
  value       = tomap(local.features)
}

output "organization_features" {
  description = "What members get: \"FEATURE\" and \"FEATURE/CONFIGURATION\" => ALL, NEW or NONE, which turns nothing off where it is on (empty where the organization is not managed)."
  value       = tomap(local.organization_flat)
}

output "member_features" {
  description = "Exceptions: account id => \"FEATURE\" and \"FEATURE/CONFIGURATION\" => ENABLED or DISABLED."
  value = tomap({
    for account, parts in {
      for one in values(local.member_features) : one.account_id => merge(
        { (one.name) = one.status },
        { for conf, status in one.configurations : "${one.name}/${conf}" => status },
      )...
    } : account => tomap(merge(parts...))
  })
}
