variable "name_prefix" {
  description = "Prefix of the names of the bucket and the key alias."
  type        = string
  nullable    = false
}

variable "detector_arn" {
  description = "ARN of the detector whose findings are exported. Bucket and key are in its account and Region, and it is the only source that the policies allow."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:guardduty:[a-z0-9-]+:[0-9]{12}:detector/[A-Za-z0-9]+$", var.detector_arn))
    error_message = "detector_arn must be the ARN of a GuardDuty detector (arn:aws:guardduty:<region>:<account>:detector/<id>), not \"${var.detector_arn}\"."
  }
}

variable "create_bucket" {
  description = "Creates the bucket. If false, bucket_arn names a bucket whose policy contains the statements of the output bucket_policy_statements."
  type        = bool
  default     = true
  nullable    = false
}

variable "bucket_arn" {
  description = "ARN of an existing bucket, if create_bucket is false. It may be in another account."
  type        = string
  default     = null

  validation {
    condition     = var.create_bucket ? var.bucket_arn == null : can(regex("^arn:[a-z-]+:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket_arn))
    error_message = "bucket_arn must be the ARN of a bucket (arn:aws:s3:::name, without a path: that is prefix) when create_bucket is false, and must be left out when it is true."
  }
}

variable "create_key" {
  description = "Creates the KMS key. If false, kms_key_arn names a key in the bucket's Region whose policy contains the statement of the output key_policy_statement."
  type        = bool
  default     = true
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of an existing KMS key, if create_key is false."
  type        = string
  default     = null

  validation {
    condition     = var.create_key ? var.kms_key_arn == null : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>, not an alias: GuardDuty refuses it) when create_key is false, and must be left out when it is true."
  }
}

variable "prefix" {
  description = <<-EOT
    Path in the bucket above AWSLogs/<account>/GuardDuty/<region>/ (null for none). It must exist in your own bucket:
    GuardDuty refuses a prefix without any object.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.prefix == null || can(regex("^[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*$", var.prefix))
    error_message = "prefix is a path of letters, digits and ! - _ . * ' ( ) between slashes, neither starting nor ending with one, such as \"guardduty\" or \"security/guardduty\"."
  }
}

variable "expire_after_days" {
  description = "Deletes exported findings after so many days. With null, they are kept."
  type        = number
  default     = null

  validation {
    condition     = var.expire_after_days == null ? true : var.expire_after_days >= 1 && floor(var.expire_after_days) == var.expire_after_days && var.create_bucket
    error_message = "expire_after_days must be a whole number of days, 1 or more, for a bucket created here; your own bucket has a lifecycle of its own."
  }
}

variable "object_lock" {
  description = <<-EOT
    Default retention of exported findings: { mode = GOVERNANCE or COMPLIANCE, days }, or null for none. It needs a
    bucket that is created here. In mode COMPLIANCE, nobody can delete a finding before its time, not even the
    account's root user.
  EOT
  type        = object({ mode = string, days = number })
  default     = null

  validation {
    condition     = var.object_lock == null ? true : contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock.mode) && var.object_lock.days >= 1 && floor(var.object_lock.days) == var.object_lock.days && var.create_bucket
    error_message = "object_lock needs mode GOVERNANCE or COMPLIANCE and a whole number of days, 1 or more, for a bucket created here (your own bucket has its own)."
  }
  validation {
    condition     = var.object_lock == null || var.expire_after_days == null ? true : var.expire_after_days >= var.object_lock.days
    error_message = "expire_after_days must not be less than object_lock.days: what is locked stays, and only grows in hidden versions."
  }
}

variable "force_destroy" {
  description = "Lets a destroy delete the bucket with all findings in it."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags of the bucket and the key."
  type        = map(string)
  default     = {}
  nullable    = false
}
