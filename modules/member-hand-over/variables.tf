variable "name_prefix" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
}

variable "security_account_id" {
  description = "The account in which the response runs."
  type        = string
  nullable    = false
}

variable "organization_id" {
  description = "AWS Organizations id. If set, the member roles trust only principals of this organization."
  type        = string
  default     = null
}

variable "partition" {
  description = "The organization's partition, such as aws or aws-us-gov."
  type        = string
  nullable    = false
}

variable "iam_path" {
  description = "Path of every role, in the security account and in the members."
  type        = string
  nullable    = false
}

variable "playbooks" {
  description = "Playbooks that may contain and collect in member accounts, whether a switch uses them now or not."
  type        = set(string)
  nullable    = false
}

variable "restore" {
  description = "Playbooks whose containment the restore function may undo."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "remediate" {
  description = "Playbooks that may undo what a contained principal did."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "rotate_keys" {
  description = "Whether the eradication function may create one new access key for a contained user."
  type        = bool
  default     = false
  nullable    = false
}

variable "terminate" {
  description = "Playbooks that may terminate what they contained."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "forensics" {
  description = "Whether a quarantined instance may keep what its SSM agent needs."
  type        = bool
  default     = false
  nullable    = false
}

variable "untrack_connections" {
  description = "Whether ec2_instance may open a group of its own for the seconds that flushing tracked connections takes."
  type        = bool
  default     = false
  nullable    = false
}

variable "identity_center" {
  description = "Whether iam_principal contains people of Identity Center. The roles for it are taken in that account alone."
  type        = bool
  default     = false
  nullable    = false
}

variable "forwarder" {
  description = "What the forwarders of member accounts send to which event bus; null if that bus accepts nothing of theirs."
  type = object({
    event_bus_arn = string
    rules         = map(object({ description = string, pattern = string }))
  })
  default = null
}
