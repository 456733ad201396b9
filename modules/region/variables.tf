variable "home" {
  description = "Output for_other_regions of the root module in the home Region."
  type = object({
    name_prefix         = string
    home_region         = string
    event_bus_arn       = string
    security_account_id = string
    organization_id     = optional(string)
    iam = object({
      path                 = string
      permissions_boundary = optional(string)
    })
    tags      = map(string)
    playbooks = set(string)
    watch     = object({ minutes = number, cloudtrail = bool })
    detector = object({
      finding_publishing_frequency = optional(string)
      features                     = map(string)
    })
    organization = object({
      manage                   = bool
      auto_enable_members      = string
      features                 = map(string)
      members                  = map(string)
      member_features          = map(map(string))
      administrator_account_id = optional(string)
    })
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
  description = "This Region's detector: created here, or one that exists (create = false and id). What is set here goes over what home says; features are merged."
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
  description = "GuardDuty of the organization in this Region. As at home, but for what is set here: features are merged, members and member_features replaced. The registration of the delegated administrator is Regional as well (modules/delegated-admin): administrator_account_id is that module's output of this Region."
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
  description = "Export of this Region's findings, which is a setting of each Region. As at home, but for what is set here: with a bucket made at home, bucket and key are made here as well, named after this Region; a bucket and a key brought along take this Region's findings too, and their policies must hold what output findings_export says. create = false exports nothing from here; a bucket in an opt-in Region takes findings of that Region alone."
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
  description = "SNS topics of this Region that are told when a finding could not be sent to the home Region."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "email_addresses" {
  description = "Who is told that by e-mail; with any, a topic is made here."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "tags" {
  description = "Tags beside those of the home Region."
  type        = map(string)
  default     = {}
  nullable    = false
}
