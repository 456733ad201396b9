variable "playbook" {
  description = "Name of the playbook, which is a directory of playbooks/."
  type        = string
  nullable    = false
}

variable "job" {
  description = "The part of the function's name after name_prefix: playbook, collect, remediate, restore, terminate or monitor."
  type        = string
  nullable    = false
}

variable "handler" {
  description = "Module of guardduty_response.functions that contains the handler."
  type        = string
  nullable    = false
}

variable "member_role" {
  description = "The only kind of member role that the function may assume: responder, collector, remediator, restorer, terminator or monitor."
  type        = string
  nullable    = false
}

variable "description" {
  description = "What the function does, as a sentence."
  type        = string
  nullable    = false
}

variable "alarm" {
  description = "What an error of the function means, as a sentence."
  type        = string
  nullable    = false
}

variable "evidence_actions" {
  description = "S3 actions on the incidents' objects of the evidence bucket."
  type        = list(string)
  nullable    = false
}

variable "more_statements" {
  description = "IAM statements in addition to those of every such function."
  type        = any
  default     = []
  nullable    = false
}

variable "name_prefix" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
}

variable "zip" {
  description = "Path of the function's zip."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment of every function of the module: GDR_TABLE, GDR_BUCKET, GDR_CONFIG_SHA256, GDR_NAME_PREFIX."
  type        = map(string)
  nullable    = false
}

variable "table_arn" {
  description = "ARN of the incident table."
  type        = string
  nullable    = false
}

variable "bucket_arn" {
  description = "ARN of the evidence bucket."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "Key of the table, the bucket, the log group and the function's environment."
  type        = string
  nullable    = false
}

variable "alarm_topic_arn" {
  description = "Topic the error alarm goes to."
  type        = string
  nullable    = false
}

variable "step_aliases" {
  description = "Steps of the function that have an alias of their name, by which no other step can be run."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "asynchronous" {
  description = "Whether the function is invoked as an event. What fails is then not repeated by Lambda."
  type        = bool
  default     = false
  nullable    = false
}

variable "reserved_concurrency" {
  description = "Number of executions that the account keeps for the function, which is also its limit; null: none are kept."
  type        = number
  default     = null
}

variable "topic_arns" {
  description = "Topics to which the function may publish, or null if it notifies nobody."
  type        = object({ notifications = string, escalations = string })
  default     = null
}

variable "topic_keys" {
  description = "{ topic_arn, kms_key_arn } of topics that are encrypted with another key than kms_key_arn."
  type        = list(object({ topic_arn = string, kms_key_arn = string }))
  default     = []
  nullable    = false
}

variable "organization_id" {
  description = "AWS Organizations id to which the member roles must belong, or null."
  type        = string
  default     = null
}

variable "arn_base" {
  description = "partition, region and account_id of the security account."
  type        = object({ partition = string, region = string, account_id = string })
  nullable    = false
}

variable "iam" {
  description = "Path and permissions boundary of the role."
  type        = object({ path = string, permissions_boundary = optional(string) })
  nullable    = false
}

variable "functions" {
  description = "Architecture, memory (MB) and, if its subnet_ids are not empty, the VPC of the function."
  type = object({
    architecture = string
    memory_size  = number
    vpc          = object({ subnet_ids = list(string), security_group_ids = list(string) })
  })
  nullable = false
}

variable "log_retention_days" {
  description = "Days for which the function's log is kept."
  type        = number
  nullable    = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
