variable "create" {
  description = "Create the detector. When false, id names the one that exists (or nothing is managed)."
  type        = bool
  nullable    = false
}

variable "id" {
  description = "Id of an existing detector, when create is false."
  type        = string
  default     = null
}

variable "finding_publishing_frequency" {
  description = "How often GuardDuty sends updates of existing findings: FIFTEEN_MINUTES, ONE_HOUR or SIX_HOURS."
  type        = string
  default     = "FIFTEEN_MINUTES"
  nullable    = false
}

variable "features" {
  description = "Feature name => ENABLED or DISABLED. Removing a feature here does not turn it off in GuardDuty: set it to DISABLED."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "tags" {
  description = "Tags of the detector."
  type        = map(string)
  default     = {}
  nullable    = false
}
