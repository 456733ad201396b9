# What happens to findings besides the response, and what GuardDuty is told: all of it off unless set. Details, and the
# checks of every value, are in the modules of the same names.

variable "suppression_filters" {
  description = "Suppression filters in their order (the place is the rank): [{ name, description, criteria = { field = { operator = [values] } } }], operators equals, not_equals, greater_than, greater_than_or_equal, less_than, less_than_or_equal. What matches is archived as it comes in: it never reaches this module, whatever remediations says, and is neither announced nor exported. New filters go to the end; changing the order replaces all from there on."
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
  description = "Name => { addresses } or { location, format }: addresses GuardDuty trusts, at most one list. Warning: flow log and CloudTrail findings about them are not raised at all, in no account; nothing answers what is never found."
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
  description = "Name => { addresses } or { location, format }: addresses whose traffic raises findings (…MaliciousIPCaller.Custom), at most six lists."
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
  description = "Export of findings to S3, for longer than the 90 days GuardDuty keeps them (create = true). Bucket and key are made, or brought along (create_bucket = false and bucket_arn; create_key = false and kms_key_arn; outputs findings_export.bucket_policy_statements and key_policy_statement say what their policies must hold). object_lock = { mode, days } locks what is exported. Export is a setting of each Region: this is the home Region's, and modules/region does the same in each other one, with a bucket and a key of that Region or with those brought along."
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
  description = "Bucket name => { prefixes, tagging = true, encrypted_with_key, kms_key_arn }: buckets of this account and Region whose uploads GuardDuty scans (prefixes from some to none or back: the plan is made anew, and nothing is scanned in between). tagging writes the verdict on the object. For buckets of other accounts call modules/malware-protection-s3 there."
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
  description = "monthly_limit_usd: a budget for Amazon GuardDuty that tells the notifications topic (topic = false: not) and email_addresses at the percentages of thresholds. It counts this account's bill; members pay their own, so watch the organization with modules/spend-watch in the management account. trial_ends_on (YYYY-MM-DD): last day of the free trial; the topic is told trial_notice_days before, and plans of the last week warn. A topic brought along must let budgets.amazonaws.com publish."
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
    error_message = "spend_watch.email_addresses are told of the budget: set spend_watch.monthly_limit_usd, or take them away (the trial's end is told to the notifications topic)."
  }
}
