variable "region" {
  description = "The home Region."
  type        = string
  default     = "eu-central-1"
}

variable "email_addresses" {
  description = "Who gets the messages; each address confirms its subscription once, in every Region."
  type        = list(string)
  default     = []
}

variable "forensics_account" {
  description = "Where copies of snapshots go, or null. kms_key_arn must be of a multi-Region key (mrk-…) with a replica in every Region used."
  type = object({
    account_id     = string
    kms_key_arn    = string
    copy_role_name = optional(string)
  })
  default = null
}
