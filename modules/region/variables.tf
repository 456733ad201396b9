variable "home" {
  description = "The output for_other_regions of the root module in the aggregation Region."
  type = object({
    name_prefix         = string
    home_region         = string
    security_account_id = string
    organization_id     = optional(string)
    iam = object({
      path                 = string
      permissions_boundary = optional(string)
    })
    tags = map(string)
    forwarder = object({
      event_bus_arn = string
      rules         = map(object({ description = string, pattern = string }))
    })
    # The variable guardduty of the root module, or null
    guardduty = optional(object({
      detector = optional(object({
        create                       = optional(bool, true)
        id                           = optional(string)
        finding_publishing_frequency = optional(string)
        features                     = optional(map(string), {})
        managed_by                   = optional(string, "MODULE")
      }), {})
      organization = optional(object({
        manage                   = optional(bool, false)
        auto_enable_members      = optional(string, "ALL")
        features                 = optional(map(string), {})
        members                  = optional(map(string), {})
        member_features          = optional(map(map(string)), {})
        administrator_account_id = optional(string)
      }), {})
      suppression_filters = optional(list(object({
        name        = string
        description = optional(string)
        criteria    = map(map(list(string)))
      })), [])
      trusted_ip_lists = optional(map(object({
        addresses = optional(list(string))
        location  = optional(string)
        format    = optional(string)
      })), {})
      threat_lists = optional(map(object({
        addresses = optional(list(string))
        location  = optional(string)
        format    = optional(string)
      })), {})
      findings_export = optional(object({
        create            = optional(bool, false)
        create_bucket     = optional(bool, true)
        bucket_arn        = optional(string)
        create_key        = optional(bool, true)
        kms_key_arn       = optional(string)
        prefix            = optional(string)
        expire_after_days = optional(number)
        object_lock       = optional(object({ mode = string, days = number }))
        force_destroy     = optional(bool, false)
      }), {})
    }))
    forensics = object({
      when                   = string
      packet_capture_seconds = number
      timeout_minutes        = number
      memory = object({
        linux   = optional(object({ location = string, sha256 = string }))
        windows = optional(object({ location = string, sha256 = string }))
      })
      commands = object({
        linux   = list(string)
        windows = list(string)
      })
      account_ids = list(string)
    })
    forensics_key_arn = optional(string)
  })
  nullable = false
}

variable "detector" {
  description = <<-EOT
    This Region's detector, if the aggregation Region manages GuardDuty. It is created here, or it exists already
    (create = false and id). What is set here overrides the aggregation Region's value; features are merged, and a
    detector that exists has only those that are named here.
  EOT
  type = object({
    create                       = optional(bool, true)
    id                           = optional(string)
    finding_publishing_frequency = optional(string)
    features                     = optional(map(string), {})
  })
  default  = {}
  nullable = false
}

variable "organization" {
  description = <<-EOT
    GuardDuty of the organization in this Region. It is as in the aggregation Region, except for what is set here:
    features are merged, members and member_features are replaced. The delegated administrator is registered Region by
    Region as well (modules/delegated-admin), so administrator_account_id is the output of that module in this Region.
  EOT
  type = object({
    manage                   = optional(bool)
    auto_enable_members      = optional(string)
    features                 = optional(map(string), {})
    members                  = optional(map(string))
    member_features          = optional(map(map(string)))
    administrator_account_id = optional(string)
  })
  default  = {}
  nullable = false
}

variable "findings_export" {
  description = <<-EOT
    Export of this Region's findings, which is a setting of each Region. It is as in the aggregation Region, except
    for what is set here. If the bucket there is created, bucket and key are created here as well, named after this
    Region. Your own bucket and key also receive this Region's findings, and their policies must contain what the
    output findings_export says.
    create = false exports nothing from here. A bucket in an opt-in Region accepts findings of that Region only.
  EOT
  type = object({
    create            = optional(bool)
    create_bucket     = optional(bool)
    bucket_arn        = optional(string)
    create_key        = optional(bool)
    kms_key_arn       = optional(string)
    prefix            = optional(string)
    expire_after_days = optional(number)
    object_lock       = optional(object({ mode = string, days = number }))
    force_destroy     = optional(bool)
  })
  default  = {}
  nullable = false

  validation {
    condition     = coalesce(var.findings_export.create, true) || alltrue([for name, value in var.findings_export : value == null if name != "create"])
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
