# schema/variables/guardduty.json has the keys of detector, organization and findings_export; main.tf compares them.

variable "home" {
  description = <<-EOT
    The output for_other_regions of the root module in the aggregation Region, as it is: from another state,
    jsondecode of it. What a newer release adds to it is taken, too.
  EOT
  type        = any
  nullable    = false

  validation {
    condition     = length(setsubtract(["name_prefix", "security_account_id", "iam", "tags", "forwarder", "forensics"], try(keys(var.home), []))) == 0
    error_message = "home has no ${join(", ", setsubtract(["name_prefix", "security_account_id", "iam", "tags", "forwarder", "forensics"], try(keys(var.home), [])))}: it must be the whole output for_other_regions of the root module in the aggregation Region, for example home = module.guardduty_response.for_other_regions."
  }
}

variable "detector" {
  description = <<-EOT
    This Region's detector, if the aggregation Region manages GuardDuty, as { create, id, finding_publishing_frequency,
    features }. It is created here, or it exists already (create = false and id). What is set here overrides the
    aggregation Region's value; features are merged, and a detector that exists has only those that are named here.
  EOT
  type        = any
  default     = {}
  nullable    = false
}

variable "organization" {
  description = <<-EOT
    GuardDuty of the organization in this Region, as { manage, auto_enable_members, features, members, member_features,
    administrator_account_id }. It is as in the aggregation Region, except for what is set here:
    features are merged, members and member_features are replaced. The delegated administrator is registered Region by
    Region as well (modules/delegated-admin), so administrator_account_id is the output of that module in this Region.
  EOT
  type        = any
  default     = {}
  nullable    = false
}

variable "findings_export" {
  description = <<-EOT
    Export of this Region's findings, which is a setting of each Region, as { create, create_bucket, bucket_arn,
    create_key, kms_key_arn, prefix, expire_after_days, object_lock, force_destroy }. It is as in the aggregation
    Region, except for what is set here. If the bucket there is created, bucket and key are created here as well, named
    after this Region. Your own bucket and key also receive this Region's findings, and their policies must contain
    what the output findings_export says.
    create = false exports nothing from here. A bucket in an opt-in Region accepts findings of that Region only.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = try(coalesce(tobool(var.findings_export.create)), true) || !can(keys(var.findings_export)) || alltrue([for name, value in try(var.findings_export, {}) : value == null if name != "create"])
    error_message = "findings_export says where findings go, but with create = false nothing is exported from this Region: take the rest away."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics of this Region that are notified when a finding could not be forwarded to the aggregation Region."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "email_addresses" {
  description = "Addresses that are notified by e-mail when a finding could not be forwarded. If there are any, a topic is created here."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "tags" {
  description = "Tags in addition to those of the aggregation Region."
  type        = map(string)
  default     = {}
  nullable    = false
}
