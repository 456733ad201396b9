variable "name_prefix" {
  description = "Prefix of the topic names."
  type        = string
  nullable    = false
}

variable "topics" {
  description = "Maps the suffix of a topic name to { create, ARN of your own topic, e-mail addresses to subscribe }."
  type = map(object({
    create          = bool
    arn             = optional(string)
    email_addresses = optional(list(string), [])
  }))
  nullable = false
}

variable "kms_key_arn" {
  description = "Key that encrypts the topics."
  type        = string
  nullable    = false
}

variable "arn_base" {
  description = "partition, region and account_id of the topics."
  type        = object({ partition = string, region = string, account_id = string })
  nullable    = false
}

variable "budget_alerts" {
  description = "Lets AWS Budgets of this account publish to the notifications topic."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags of the topics."
  type        = map(string)
  default     = {}
  nullable    = false
}
