# The modules of the same names have the details and the checks of every value.

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
  type        = object({ arn = string, encrypted = optional(bool, false), kms_key_arn = optional(string) })
  default     = null
}

variable "iam" {
  description = "Path and permissions boundary of the roles for malware protection and spend_watch."
  type        = object({ path = optional(string, "/"), permissions_boundary = optional(string) })
  default     = {}
  nullable    = false
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "detector" {
  description = <<-EOT
    The GuardDuty detector of this account and Region. It is created here, or it exists already (create = false and
    id). With create = false and no id, nothing of GuardDuty is managed.
    - finding_publishing_frequency is for a detector that is created (default FIFTEEN_MINUTES). An existing detector
      keeps its own, which is SIX_HOURS if AWS created it.
    - features maps "FEATURE" or "FEATURE/CONFIGURATION" to ENABLED, DISABLED or UNMANAGED, for this account. It is
      merged over the defaults, also for an existing detector: every protection plan is ENABLED, and agent
      management (RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT, /EC2_AGENT_MANAGEMENT, /ECS_FARGATE_AGENT_MANAGEMENT) is
      DISABLED. The plan shows each of them.
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
    GuardDuty of the organization, if this account is its delegated administrator (modules/delegated-admin).
    - auto_enable_members is ALL, NEW or NONE.
    - features has the keys of detector.features and the values ALL, NEW, NONE or UNMANAGED. The default is ALL
      where the detector's is ENABLED, and NONE where it is DISABLED. NONE means "not for new accounts": an account
      that has the plan keeps it and pays for it, until member_features says DISABLED.
    - members maps account ids to e-mail addresses, for accounts that are to be members beside NEW or NONE. (ALL
      makes every account a member within a day.) Removing an entry does not disassociate the member;
      docs/off-boarding.md says how to do that before.
    - member_features maps an account id to features and ENABLED or DISABLED, as exceptions. A feature that is named
      there must not be ALL.
    - administrator_account_id is the account that this must be. If you pass the output of modules/delegated-admin,
      the organization's configuration waits for the registration.
  EOT
  type = object({
    manage                   = optional(bool, false)
    auto_enable_members      = optional(string, "ALL")
    features                 = optional(map(string), {})
    members                  = optional(map(string), {})
    member_features          = optional(map(map(string)), {})
    administrator_account_id = optional(string)
  })
  default  = {}
  nullable = false
}

variable "suppression_filters" {
  description = <<-EOT
    Suppression filters in their order; the position is the rank. Each has the form { name, description, criteria = {
    field = { operator = [values] } } }, with the operators equals, not_equals, greater_than, greater_than_or_equal,
    less_than, less_than_or_equal.
    A finding that matches is archived on arrival. It never reaches this module, whatever remediations says, and is
    neither notified nor exported. Add new filters at the end: changing the order replaces all filters from there on.
  EOT
  type = list(object({
    name        = string
    description = optional(string)
    criteria    = map(map(list(string)))
  }))
  default  = []
  nullable = false

  validation {
    condition     = length(var.suppression_filters) == 0 || var.detector.create || var.detector.id != null
    error_message = "suppression_filters need a detector: set detector.create = true, or give detector.id."
  }
}

variable "trusted_ip_lists" {
  description = <<-EOT
    Maps a name to { addresses } or { location, format }: addresses that GuardDuty trusts, in at most one list.
    Warning: GuardDuty raises no flow log or CloudTrail findings about these addresses in any account, so nothing can
    answer them.
  EOT
  type = map(object({
    addresses = optional(list(string))
    location  = optional(string)
    format    = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.trusted_ip_lists) == 0 || var.detector.create || var.detector.id != null
    error_message = "trusted_ip_lists need a detector: set detector.create = true, or give detector.id."
  }
}

variable "threat_lists" {
  description = "Maps a name to { addresses } or { location, format }: addresses whose traffic raises findings (…MaliciousIPCaller.Custom), in at most six lists."
  type = map(object({
    addresses = optional(list(string))
    location  = optional(string)
    format    = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.threat_lists) == 0 || var.detector.create || var.detector.id != null
    error_message = "threat_lists need a detector: set detector.create = true, or give detector.id."
  }
}

variable "findings_export" {
  description = <<-EOT
    Exports findings to S3, for longer than the 90 days that GuardDuty keeps them (create = true). Bucket and key are
    created, or you bring your own (create_bucket = false and bucket_arn; create_key = false and kms_key_arn). The
    outputs findings_export.bucket_policy_statements and key_policy_statement say what their policies must contain.
    object_lock = { mode, days } locks what is exported. Export is a setting of each Region: this is the one of the
    aggregation Region. modules/region does the same in each other Region, with a bucket and a key of that Region or
    with your own.
  EOT
  type = object({
    create            = optional(bool, false)
    create_bucket     = optional(bool, true)
    bucket_arn        = optional(string)
    create_key        = optional(bool, true)
    kms_key_arn       = optional(string)
    prefix            = optional(string)
    expire_after_days = optional(number)
    object_lock       = optional(object({ mode = string, days = number }))
    force_destroy     = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = !var.findings_export.create || var.detector.create || var.detector.id != null
    error_message = "findings_export needs a detector: set detector.create = true, or give detector.id."
  }
  validation {
    condition = var.findings_export.create || (
      var.findings_export.create_bucket && var.findings_export.create_key && var.findings_export.bucket_arn == null && var.findings_export.kms_key_arn == null &&
      var.findings_export.prefix == null && var.findings_export.expire_after_days == null && var.findings_export.object_lock == null
    )
    error_message = "findings_export says where findings go, but nothing is exported: set findings_export.create = true, or take the rest away."
  }
}

variable "malware_protection_s3" {
  description = <<-EOT
    Maps a bucket name to { prefixes, tagging = true, encrypted_with_key, kms_key_arn }: buckets of this account and
    Region whose uploads GuardDuty scans. tagging writes the verdict on the object.
    When prefixes change from some to none or back, the plan is created again, and nothing is scanned in between. For
    buckets of other accounts, call modules/malware-protection-s3 there.
  EOT
  type = map(object({
    prefixes           = optional(list(string), [])
    tagging            = optional(bool, true)
    encrypted_with_key = optional(bool, false)
    kms_key_arn        = optional(string)
  }))
  default  = {}
  nullable = false
}

variable "spend_watch" {
  description = <<-EOT
    Watches what GuardDuty costs.
    - monthly_limit_usd is a budget that notifies the notifications topic (not with topic = false) and
      email_addresses at the percentages in thresholds. It counts this account's bill. Members pay their own, so
      watch the organization with modules/spend-watch in the management account.
    - trial_ends_on (YYYY-MM-DD) is the last day of the free trial. The topic is notified trial_notice_days before,
      and plans of the last week warn.
    - Your own topic must let budgets.amazonaws.com publish.
  EOT
  type = object({
    monthly_limit_usd = optional(number)
    thresholds        = optional(object({ actual = optional(list(number), [80, 100]), forecast = optional(list(number), [100]) }), {})
    topic             = optional(bool, true)
    email_addresses   = optional(list(string), [])
    trial_ends_on     = optional(string)
    trial_notice_days = optional(number, 5)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.spend_watch.monthly_limit_usd != null || length(var.spend_watch.email_addresses) == 0
    error_message = "spend_watch.email_addresses are notified of the budget: set spend_watch.monthly_limit_usd, or remove them (the end of the trial is notified to the notifications topic)."
  }
}
