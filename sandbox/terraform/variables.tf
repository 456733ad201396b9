# The module's own switches, handed through as they are; null means the module's default.

variable "name_prefix" {
  description = "Passed to the module and to modules/responder-role."
  type        = string
  default     = "guardduty-response"
}

variable "member_account_id" {
  description = "Member A: the account whose resources most findings are about."
  type        = string
}

variable "second_member_account_id" {
  description = "Member B."
  type        = string
}

variable "security_account_id" {
  description = "The delegated administrator, where the module runs."
  type        = string
}

variable "region" {
  description = "The home Region."
  type        = string
}

variable "second_region" {
  description = "The other Region that the accounts use."
  type        = string
}

variable "create" {
  description = "Passed to the module."
  type        = bool
  default     = null
}

variable "tags" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "organization_id" {
  description = "Passed to the module."
  type        = string
  default     = null
}

variable "iam" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "kms" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "guardduty" {
  description = "Passed to the module: by default GuardDuty is on."
  type        = any
  default     = {}
}

variable "remediations" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "account_remediations" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "minimum_severity" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "remediation_config_file" {
  description = "Passed to the module."
  type        = string
  default     = null
}

variable "extra_finding_types" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "notifications" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "exempt_accounts" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "exempt_resources" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "exempt_principals" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "management_account_id" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "approval_tag" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "approval_timeout_minutes" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "freeze_windows" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "circuit_breaker" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "evidence" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "paused" {
  description = "Passed to the module."
  type        = bool
  default     = null
}

variable "forensics" {
  description = "Passed to the module; the member accounts are added to those the document is shared with."
  type        = any
  default     = null
}

variable "watch" {
  description = "Passed to the module."
  type        = any
  default     = null
}

variable "functions" {
  description = "Passed to the module."
  type        = any
  default     = null
}
