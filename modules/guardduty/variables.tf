# schema/variables/guardduty.json has the keys and defaults of the untyped variables; the modules of the same names check
# the values. README.md lists them.

variable "name_prefix" {
  description = "Prefix of the names of buckets, key aliases, roles and budgets. The same as the response's, or another."
  type        = string
  default     = "guardduty-response"
  nullable    = false
}

variable "topic" {
  description = <<-EOT
    { arn, encrypted, kms_key_arn } of the SNS topic that spend_watch notifies, or null for none. encrypted says that
    the topic has the key kms_key_arn. The topic must let budgets.amazonaws.com publish.
  EOT
  type        = any
  default     = null

  validation {
    condition     = var.topic == null ? true : length(setsubtract(try(keys(var.topic), ["no object"]), ["arn", "encrypted", "kms_key_arn"])) == 0
    error_message = "topic must be an object with arn, encrypted and kms_key_arn, or null; it has ${join(", ", setsubtract(try(keys(var.topic), ["no keys"]), ["arn", "encrypted", "kms_key_arn"]))}."
  }
  validation {
    condition     = var.topic == null ? true : contains(try(keys(var.topic), ["arn"]), "arn")
    error_message = "topic.arn is missing: the ARN of the topic that spend_watch notifies."
  }
}

variable "iam" {
  description = "Path and permissions boundary of the roles for malware protection and spend_watch, as { path, permissions_boundary }."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.iam), ["path", "permissions_boundary"])) == 0
    error_message = "iam has no ${join(", ", setsubtract(keys(var.iam), ["path", "permissions_boundary"]))}: its keys are path and permissions_boundary."
  }
}

locals {
  # With their defaults
  iam = {
    path                 = lookup(var.iam, "path", null) == null ? "/" : var.iam.path
    permissions_boundary = lookup(var.iam, "permissions_boundary", null)
  }
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "detector" {
  description = "The detector: { create, id, finding_publishing_frequency, features }. {} creates it, with every protection plan on."
  type        = any
  default     = {}
  nullable    = false
}

variable "organization" {
  description = "The organization, in its delegated administrator's account: { manage, auto_enable_members, features, members, member_features, administrator_account_id }."
  type        = any
  default     = {}
  nullable    = false
}

variable "suppression_filters" {
  description = "Suppression filters in their order: a list of { name, description, criteria }."
  type        = any
  default     = []
  nullable    = false

  validation {
    condition     = try(length(var.suppression_filters), 0) == 0 || try(tobool(var.detector.create), true) || try(var.detector.id != null, false)
    error_message = "suppression_filters need a detector: set detector.create = true, or give detector.id."
  }
}

variable "trusted_ip_lists" {
  description = "Maps a name to { addresses } or { location, format }: addresses that GuardDuty trusts."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = try(length(var.trusted_ip_lists), 0) == 0 || try(tobool(var.detector.create), true) || try(var.detector.id != null, false)
    error_message = "trusted_ip_lists need a detector: set detector.create = true, or give detector.id."
  }
}

variable "threat_lists" {
  description = "Maps a name to { addresses } or { location, format }: addresses whose traffic raises findings."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = try(length(var.threat_lists), 0) == 0 || try(tobool(var.detector.create), true) || try(var.detector.id != null, false)
    error_message = "threat_lists need a detector: set detector.create = true, or give detector.id."
  }
}

variable "findings_export" {
  description = "Export of findings to S3: { create, create_bucket, bucket_arn, create_key, kms_key_arn, prefix, expire_after_days, object_lock, force_destroy }."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = !try(tobool(var.findings_export.create), false) || try(tobool(var.detector.create), true) || try(var.detector.id != null, false)
    error_message = "findings_export needs a detector: set detector.create = true, or give detector.id."
  }
  validation {
    condition     = try(tobool(var.findings_export.create), false) || !can(keys(var.findings_export)) || alltrue([for name, value in try(var.findings_export, {}) : contains(["create", "force_destroy"], name) || (startswith(name, "create_") ? try(tobool(value), true) : value == null)])
    error_message = "findings_export says where findings go, but nothing is exported: set findings_export.create = true, or take the rest away."
  }
}

variable "malware_protection_s3" {
  description = "Maps a bucket name to { prefixes, tagging, encrypted_with_key, kms_key_arn }: buckets whose uploads GuardDuty scans."
  type        = any
  default     = {}
  nullable    = false
}

variable "spend_watch" {
  description = "What GuardDuty costs: { monthly_limit_usd, thresholds, topic, email_addresses, trial_ends_on, trial_notice_days }."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = try(var.spend_watch.monthly_limit_usd != null, false) || try(length(var.spend_watch.email_addresses), 0) == 0
    error_message = "spend_watch.email_addresses are notified of the budget: set spend_watch.monthly_limit_usd, or remove them (the end of the trial is notified to the notifications topic)."
  }
}
