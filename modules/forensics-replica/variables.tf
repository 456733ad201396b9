variable "primary" {
  description = "The output for_replicas of modules/forensics-account in the first Region."
  type        = any
  nullable    = false

  validation {
    condition     = length(setsubtract(["kms_key_arn", "key_policy", "alias"], try(keys(var.primary), []))) == 0
    error_message = "primary has no ${join(", ", setsubtract(["kms_key_arn", "key_policy", "alias"], try(keys(var.primary), [])))}: it must be the output for_replicas of modules/forensics-account in the first Region."
  }
  validation {
    condition     = length(setsubtract(try(keys(var.primary), []), ["kms_key_arn", "key_policy", "alias", "tags"])) == 0
    error_message = "primary has ${join(", ", setsubtract(try(keys(var.primary), []), ["kms_key_arn", "key_policy", "alias", "tags"]))}, and its keys are kms_key_arn, key_policy, alias and tags: it must be the output for_replicas of modules/forensics-account of the same release."
  }
  validation {
    condition     = !can(var.primary.kms_key_arn) ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/mrk-[0-9a-f]+$", var.primary.kms_key_arn))
    error_message = "primary.kms_key_arn is no multi-Region key (arn:aws:kms:<region>:<account>:key/mrk-<id>), and only such a key has replicas: modules/forensics-account makes one with multi_region = true."
  }
}

variable "tags" {
  description = "More tags, in addition to those of the primary key."
  type        = map(string)
  default     = {}
  nullable    = false
}
