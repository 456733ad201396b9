variable "primary" {
  description = "The output for_replicas of modules/forensics-account in the first Region."
  type = object({
    kms_key_arn = string
    key_policy  = string
    alias       = string
    tags        = optional(map(string), {})
  })
  nullable = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/mrk-[0-9a-f]+$", var.primary.kms_key_arn))
    error_message = "primary.kms_key_arn is no multi-Region key (arn:aws:kms:<region>:<account>:key/mrk-<id>), and only such a key has replicas: modules/forensics-account makes one with multi_region = true."
  }
}

variable "tags" {
  description = "More tags, in addition to those of the primary key."
  type        = map(string)
  default     = {}
  nullable    = false
}
