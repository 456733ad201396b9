variable "admin_account_id" {
  description = <<-EOT
    The account that becomes GuardDuty's delegated administrator in this Region: the security account, in which the
    response runs. It is the same in every Region.
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.admin_account_id))
    error_message = "admin_account_id must be a 12-digit account id."
  }
}

variable "admin_detector_id" {
  description = <<-EOT
    Id of the delegated administrator's detector in this Region, if the same configuration creates it. The account is
    then registered after the detector exists (otherwise GuardDuty creates a detector itself, and another cannot be
    created). A destroy removes the registration before the detector (which cannot be deleted while it has members).
  EOT
  type        = string
  default     = null
}

variable "malware_protection" {
  description = <<-EOT
    Also checks trusted access for Malware Protection for EC2 (malware-protection.guardduty.amazonaws.com). Set it to
    false if EBS_MALWARE_PROTECTION is not used.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "enable_management_account" {
  description = <<-EOT
    Creates the management account's own detector, without which the account cannot be a member. Set it to false if
    the account has one already, or import that one.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "features" {
  description = <<-EOT
    Protection plans of the management account's detector when it is created, before the registration. It maps
    "FEATURE" or "FEATURE/CONFIGURATION" to ENABLED, DISABLED or UNMANAGED. GuardDuty sets what is not named: every
    plan ENABLED except RUNTIME_MONITORING.
    After the registration the account is a member. Changes here then have no effect, and GuardDuty refuses a plan
    that is added. Use organization.member_features of the administrator for exceptions; what is ALL in the
    organization is ENABLED here too.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, status in var.features : can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) && contains(["ENABLED", "DISABLED", "UNMANAGED"], status)])
    error_message = "features must map names such as \"S3_DATA_EVENTS\" or \"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT\" to ENABLED, DISABLED or UNMANAGED. Wrong: ${join(", ", [for key, status in var.features : "${key} = ${status}" if !can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) || !contains(["ENABLED", "DISABLED", "UNMANAGED"], status)])}."
  }
  validation {
    condition     = var.enable_management_account || length(var.features) == 0
    error_message = "features are those of the detector that is created here: with enable_management_account = false, set them where that detector is managed."
  }
  validation {
    condition     = length(setintersection([for key in keys(var.features) : split("/", key)[0]], ["CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS"])) == 0
    error_message = "features cannot contain CLOUD_TRAIL, DNS_LOGS or FLOW_LOGS: these foundational sources are always on while GuardDuty is."
  }
  validation {
    condition = alltrue([
      for key, status in var.features : !strcontains(key, "/") || status == "UNMANAGED" || contains(status == "ENABLED" ? ["ENABLED"] : ["ENABLED", "DISABLED"], lookup(var.features, split("/", key)[0], ""))
    ])
    error_message = "features names a configuration without its feature, or enables one whose feature is not ENABLED: ${join(", ", [for key, status in var.features : key if strcontains(key, "/") && status != "UNMANAGED" && !contains(status == "ENABLED" ? ["ENABLED"] : ["ENABLED", "DISABLED"], lookup(var.features, split("/", key)[0], ""))])}. Say both, for example { RUNTIME_MONITORING = \"ENABLED\", \"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT\" = \"ENABLED\" }."
  }
  validation {
    condition     = length([for name in ["RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING"] : name if lookup(var.features, name, "") == "ENABLED"]) < 2
    error_message = "features must not enable both RUNTIME_MONITORING and EKS_RUNTIME_MONITORING: the first contains the second, and GuardDuty refuses the pair."
  }
}

variable "tags" {
  description = "Tags of the management account's detector."
  type        = map(string)
  default     = {}
  nullable    = false
}
