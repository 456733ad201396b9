# GuardDuty itself. Without the variable guardduty, nothing of it is touched.

variable "guardduty" {
  description = <<-EOT
    GuardDuty of this account and Region, and of the organization: guardduty = {} switches it on with every protection
    plan. With null (the default), nothing of GuardDuty is touched: it stays as it is, or modules/guardduty manages it
    in a configuration of its own.
    The attributes are those of modules/guardduty: detector, organization, suppression_filters, trusted_ip_lists,
    threat_lists, findings_export, malware_protection_s3, spend_watch. modules/guardduty/README.md lists their keys and
    defaults; a key that does not exist fails the plan, which names the nearest.
    What was managed once cannot be taken out by setting null: that plan fails (UPGRADING.md).
  EOT
  type        = any
  default     = null
}

variable "guardduty_features" {
  description = <<-EOT
    What is on where somebody else manages GuardDuty: maps a protection plan to ENABLED or DISABLED, such as the output
    features_in_use of modules/guardduty. It changes nothing. The plan warns of switches that can never act because
    their protection plan is DISABLED.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, status in var.guardduty_features : can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) && contains(["ENABLED", "DISABLED"], status)])
    error_message = "guardduty_features must map protection plans such as \"S3_DATA_EVENTS\" to ENABLED or DISABLED. Wrong: ${join(", ", [for key, status in var.guardduty_features : "${key} = ${status}" if !can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) || !contains(["ENABLED", "DISABLED"], status)])}."
  }
}
