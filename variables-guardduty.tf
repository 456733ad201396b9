# GuardDuty itself. Without the variable guardduty, nothing of it is touched.

variable "guardduty" {
  description = <<-EOT
    GuardDuty of this account and Region, and of the organization: guardduty = {} switches it on with every protection
    plan. With null (the default), nothing of GuardDuty is touched: it stays as it is, or modules/guardduty manages it
    in a configuration of its own.
    The attributes are those of modules/guardduty: detector, organization, suppression_filters, trusted_ip_lists,
    threat_lists, findings_export, malware_protection_s3, spend_watch. docs/guardduty.md lists them.
    What was managed once cannot be taken out by setting null: that plan fails (UPGRADING.md).
  EOT
  type = object({
    detector = optional(object({
      create                       = optional(bool, true)
      id                           = optional(string)
      finding_publishing_frequency = optional(string)
      features                     = optional(map(string), {})
    }), {})
    organization = optional(object({
      manage                   = optional(bool, false)
      auto_enable_members      = optional(string, "ALL")
      features                 = optional(map(string), {})
      members                  = optional(map(string), {})
      member_features          = optional(map(map(string)), {})
      administrator_account_id = optional(string)
    }), {})
    suppression_filters = optional(list(object({
      name        = string
      description = optional(string)
      criteria    = map(map(list(string)))
    })), [])
    trusted_ip_lists = optional(map(object({
      addresses = optional(list(string))
      location  = optional(string)
      format    = optional(string)
    })), {})
    threat_lists = optional(map(object({
      addresses = optional(list(string))
      location  = optional(string)
      format    = optional(string)
    })), {})
    findings_export = optional(object({
      create            = optional(bool, false)
      create_bucket     = optional(bool, true)
      bucket_arn        = optional(string)
      create_key        = optional(bool, true)
      kms_key_arn       = optional(string)
      prefix            = optional(string)
      expire_after_days = optional(number)
      object_lock       = optional(object({ mode = string, days = number }))
      force_destroy     = optional(bool, false)
    }), {})
    malware_protection_s3 = optional(map(object({
      prefixes           = optional(list(string), [])
      tagging            = optional(bool, true)
      encrypted_with_key = optional(bool, false)
      kms_key_arn        = optional(string)
    })), {})
    spend_watch = optional(object({
      monthly_limit_usd = optional(number)
      thresholds        = optional(object({ actual = optional(list(number), [80, 100]), forecast = optional(list(number), [100]) }), {})
      topic             = optional(bool, true)
      email_addresses   = optional(list(string), [])
      trial_ends_on     = optional(string)
      trial_notice_days = optional(number, 5)
    }), {})
  })
  default = null
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
