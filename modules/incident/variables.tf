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

variable "deletion_protection" {
  description = "Keeps the incident table from being deleted, by Terraform too."
  type        = bool
  default     = true
  nullable    = false
}

variable "config_json" {
  description = "The configuration document, exactly as the functions read and hash it."
  type        = string
  nullable    = false
}

variable "paused" {
  description = "Whether every change is stopped, restoring excepted."
  type        = bool
  nullable    = false
}

variable "act_patterns" {
  description = "Event patterns of the rule act, one for each rule that it takes; empty when nothing acts."
  type        = list(string)
  nullable    = false
}

variable "playbook_functions" {
  description = "Maps each playbook in use, and then a phase (act, collect, finish, terminate), to the ARN of its function."
  type        = map(map(string))
  nullable    = false
}

variable "monitor_functions" {
  description = "Maps each playbook in use to the ARN of the function that verifies its containments again."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "expiry_functions" {
  description = "Maps each playbook in use to the ARN of the function, or of its alias, that takes denials out of roles whose sessions are over."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "zips" {
  description = "Paths of the functions' zips."
  type        = object({ incident = string, watchdog = string })
  nullable    = false
}

variable "timeout_seconds" {
  description = "Time after which an execution of the state machine \"incident\" times out (and is escalated)."
  type        = number
  nullable    = false
}

variable "look_after_seconds" {
  description = "Time after which the state machine \"notice\" looks whether the incident of an acting finding was started."
  type        = number
  default     = 120
  nullable    = false
}

variable "watch" {
  description = <<-EOT
    How containment is monitored: minutes between two checks by the age of the containment, the number of functions
    that check at the same time what is due (and as many again what an API call names) and, with cloudtrail, at once
    when an API call that can undo it appears on this account's default event bus.
  EOT
  type = object({
    first_day_minutes  = optional(number, 15)
    first_week_minutes = optional(number, 60)
    later_minutes      = optional(number, 360)
    checks_in_flight   = optional(number, 2)
    cloudtrail         = optional(bool, true)
  })
  default  = {}
  nullable = false
}

variable "topic_arns" {
  description = "notifications and escalations: the topics the functions publish to."
  type        = object({ notifications = string, escalations = string })
  nullable    = false
}

variable "expected_subscriptions" {
  description = "notifications and escalations: the number of confirmed subscriptions below which there is an alarm; 0: the topic is not looked at."
  type        = object({ notifications = number, escalations = number })
  default     = { notifications = 1, escalations = 1 }
  nullable    = false
}

variable "messages_a_minute" {
  description = "The number of single messages that a topic gets in a minute; what comes beyond goes out in digests."
  type        = number
  default     = 6
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

variable "former_key_statements" {
  description = "Statements that let the functions decrypt what another key encrypted before."
  type        = list(object({ Sid = string, Effect = string, Action = list(string), Resource = string }))
  default     = []
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
    replica = optional(object({
      bucket_arn   = string
      account_id   = string
      kms_key_arn  = string
      metrics      = bool
      time_control = bool
    }))
  })
  nullable = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
