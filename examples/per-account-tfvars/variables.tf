# Handed through to the module, which checks them; null means the module's default.

variable "account_id" {
  description = "The account this file of variables is for. Other credentials are refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be a 12-digit account id."
  }
}

variable "region" {
  description = "The Region GuardDuty and its response run in."
  type        = string
}

variable "name_prefix" {
  description = "Prefix of every name."
  type        = string
  default     = "guardduty-response"
}

variable "remediations" {
  description = "Finding type or glob => off, notify, dry_run, approve or auto."
  type        = map(string)
  default     = {}
}

variable "minimum_severity" {
  description = "Mode => the lowest severity it is used for."
  type        = map(number)
  default     = null
}

variable "playbooks" {
  description = "How each playbook acts; the module's variable of the same name says what there is."
  type        = any
  default     = {}
}

variable "responder_playbooks" {
  description = "Playbooks that may act in this account."
  type        = set(string)
  default     = ["ec2_instance", "iam_principal"]
}

variable "guardrails" {
  description = "Limits on acting; the module's variable of the same name says what there is."
  type        = any
  default     = null
}

variable "detector" {
  description = "The detector: created, or one that exists (create = false and id)."
  type        = any
  default     = null
}

variable "evidence" {
  description = "Where and how long evidence is kept; the module's variable of the same name says what there is."
  type        = any
  default     = null
}

variable "email_addresses" {
  description = "Who gets the messages; each address confirms its subscription once."
  type        = list(string)
  default     = []
}

variable "paused" {
  description = "Stops every action, and says so."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
}
