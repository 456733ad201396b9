variable "name_prefix" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "The security account."
  type        = string
  nullable    = false
}

variable "partition" {
  description = "Partition of the security account."
  type        = string
  nullable    = false
}

variable "config_json" {
  description = "The config document, exactly as the functions read and hash it."
  type        = string
  nullable    = false
}

variable "act_pattern" {
  description = "Event pattern of rule 1, or null when nothing acts."
  type        = string
  default     = null
}

variable "playbook_functions" {
  description = "Playbook in use => phase (act, collect, finish, terminate) => ARN of the function that does it."
  type        = map(map(string))
  nullable    = false
}

variable "zips" {
  description = "Paths of the functions' zips."
  type        = object({ incident = string, watchdog = string })
  nullable    = false
}

variable "timeout_seconds" {
  description = "After so long, an execution of the incident machine is timed out (and escalated)."
  type        = number
  nullable    = false
}

variable "watch" {
  description = "How containment that stands is watched: read back every so many minutes, and, when cloudtrail, at once when an API call that can undo it is seen on this account's default event bus."
  type = object({
    minutes    = optional(number, 15)
    cloudtrail = optional(bool, true)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.watch.minutes >= 1 && var.watch.minutes <= 1440 && floor(var.watch.minutes) == var.watch.minutes
    error_message = "watch.minutes is a whole number from 1 to 1440."
  }
}

variable "topic_arns" {
  description = "notifications and escalations: the topics the functions publish to."
  type        = object({ notifications = string, escalations = string })
  nullable    = false
}

variable "topic_keys" {
  description = "{ topic_arn, kms_key_arn } of topics that are encrypted with another key than kms_key_arn."
  type        = list(object({ topic_arn = string, kms_key_arn = string }))
  default     = []
  nullable    = false
}

variable "kms_key_arn" {
  description = "Key that encrypts everything here."
  type        = string
  nullable    = false
}

variable "iam" {
  description = "Path and permissions boundary of every role."
  type        = object({ path = string, permissions_boundary = optional(string) })
  nullable    = false
}

variable "functions" {
  description = "Architecture, memory (MB) and, when its subnet_ids are not empty, the VPC of the functions."
  type = object({
    architecture = string
    memory_size  = number
    vpc          = object({ subnet_ids = list(string), security_group_ids = list(string) })
  })
  nullable = false
}

variable "evidence" {
  description = "The evidence bucket (see the root module) and how long logs are kept."
  type = object({
    create_bucket      = bool
    bucket_arn         = optional(string)
    expire_after_days  = optional(number)
    force_destroy      = bool
    log_retention_days = number
    object_lock        = optional(object({ mode = string, days = number }))
  })
  nullable = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
