# These are passed to the module, which checks them. null means the module's default.

variable "account_id" {
  description = "The account this file of variables is for. Other credentials are refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be a 12-digit account id."
  }
}

variable "region" {
  description = "The Region in which GuardDuty and its response run."
  type        = string
}

variable "name_prefix" {
  description = "Prefix of every name."
  type        = string
  default     = "guardduty-response"
}

variable "remediations" {
  description = "Maps a finding type or a pattern to off, notify, dry_run, approve or auto."
  type        = map(string)
  default     = {}
}

variable "minimum_severity" {
  description = "Maps a mode to the lowest severity for which it is used."
  type        = map(number)
  default     = null
}

variable "ec2_instance" {
  description = "How the playbook for EC2 instances responds. The module's variable of the same name describes the options."
  type        = any
  default     = {}
}

variable "iam_principal" {
  description = "How the playbook for credentials responds. The module's variable of the same name describes the options."
  type        = any
  default     = {}
}

variable "responder_playbooks" {
  description = "Playbooks that may change resources in this account."
  type        = set(string)
  default     = ["ec2_instance", "iam_principal"]
}

variable "exempt_resources" {
  description = "Ids or ARNs of resources that are never changed, with * where needed."
  type        = list(string)
  default     = []
}

variable "exempt_principals" {
  description = "ARNs of users and roles that are never contained, with * where needed."
  type        = list(string)
  default     = []
}

variable "freeze_windows" {
  description = "Times between which a person is asked, as { name, start, end }."
  type        = list(map(string))
  default     = []
}

variable "circuit_breaker" {
  description = "How many targets in how many minutes are contained without asking a person, as { targets, minutes }."
  type        = map(number)
  default     = {}
}

variable "guardduty" {
  description = "GuardDuty of the account: {} switches it on, null leaves it alone. The module's variable of the same name describes the options."
  type        = any
  default     = {}
}

variable "evidence" {
  description = "Where and how long evidence is kept. The module's variable of the same name describes the options."
  type        = any
  default     = null
}

variable "email_addresses" {
  description = "Addresses that get notifications. Each confirms its subscription once."
  type        = list(string)
  default     = []
}

variable "paused" {
  description = "Stops every change, and says so in every message."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
