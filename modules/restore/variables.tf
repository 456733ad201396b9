variable "playbook" {
  description = "Name of the playbook: a directory of playbooks/ and a zip lambda_src/dist/restore_<name>.zip."
  type        = string
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

variable "topic_arns" {
  description = "Topics people are told on; the error alarm goes to notifications."
  type        = object({ notifications = string, escalations = string })
  nullable    = false
}

variable "organization_id" {
  description = "AWS Organizations id the restorer roles must belong to, or null."
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
  description = "Architecture, memory (MB) and, when its subnet_ids are not empty, the VPC of the function."
  type = object({
    architecture = string
    memory_size  = number
    vpc          = object({ subnet_ids = list(string), security_group_ids = list(string) })
  })
  nullable = false
}

variable "log_retention_days" {
  description = "Days the function's log is kept."
  type        = number
  nullable    = false
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
