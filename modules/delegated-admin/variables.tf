variable "admin_account_id" {
  description = "The account that becomes GuardDuty's delegated administrator in this Region: the security account, where the response runs. The same in every Region."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.admin_account_id))
    error_message = "admin_account_id must be a 12-digit account id."
  }
}

variable "admin_detector_id" {
  description = "Id of the delegated administrator's detector in this Region, where it is created by the same configuration: registered after it (GuardDuty makes one of its own where there is none, and then another cannot be created), and on destroy unregistered before it (it cannot be deleted while it has members)."
  type        = string
  default     = null
}

variable "malware_protection" {
  description = "Check trusted access for Malware Protection for EC2 (malware-protection.guardduty.amazonaws.com) too. False where EBS_MALWARE_PROTECTION is not used."
  type        = bool
  default     = true
  nullable    = false
}

variable "enable_management_account" {
  description = "Create the management account's own detector, without which it cannot be a member. False where it has one already (or import that one)."
  type        = bool
  default     = true
  nullable    = false
}

variable "tags" {
  description = "Tags of the management account's detector."
  type        = map(string)
  default     = {}
  nullable    = false
}
