# Rules that need the merged defaults or the account's id are preconditions of the resources that they concern.

variable "create" {
  description = "Creates the detector. If false, id names an existing one (or nothing is managed)."
  type        = bool
  default     = true
  nullable    = false
}

variable "id" {
  description = <<-EOT
    Id of an existing detector, if create is false. It must be known in the plan (a literal or a data source). Its
    protection plans are left alone, except for those that features names: the plan warns of what they change.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.create ? var.id == null : true
    error_message = "id (detector.id) names a detector that exists: set create = false with it, or leave it out."
  }
}

variable "finding_publishing_frequency" {
  description = <<-EOT
    How often GuardDuty sends updates of existing findings: FIFTEEN_MINUTES (null), ONE_HOUR or SIX_HOURS. Members
    have their administrator's frequency. It applies only to a detector that is created here. An existing detector
    keeps its own, which is SIX_HOURS if AWS created it.
  EOT
  type        = string
  default     = null

  validation {
    condition     = contains(["FIFTEEN_MINUTES", "ONE_HOUR", "SIX_HOURS"], coalesce(var.finding_publishing_frequency, "FIFTEEN_MINUTES"))
    error_message = "finding_publishing_frequency (detector.finding_publishing_frequency) must be FIFTEEN_MINUTES, ONE_HOUR or SIX_HOURS, or null."
  }
  validation {
    condition     = var.create || var.finding_publishing_frequency == null
    error_message = "finding_publishing_frequency (detector.finding_publishing_frequency) is set for a detector that is not created here, and would do nothing: import that detector (create = true, examples/adopt-detector), or leave the frequency out and run: aws guardduty update-detector --detector-id ${coalesce(var.id, "<id>")} --finding-publishing-frequency ${coalesce(var.finding_publishing_frequency, "FIFTEEN_MINUTES")}"
  }
}

variable "features" {
  description = <<-EOT
    Maps "FEATURE" or "FEATURE/CONFIGURATION" to ENABLED, DISABLED or UNMANAGED (left alone, for what a Region or
    partition does not have). Leaving a name out does not switch it off, so say DISABLED. Names that are newer than
    this module are accepted if the provider knows them. For a detector that exists (create = false), whatever is not
    named is UNMANAGED. For one that is created here, the map is merged over these defaults:
    - ENABLED: all protection plans (S3_DATA_EVENTS, EKS_AUDIT_LOGS, EBS_MALWARE_PROTECTION, RDS_LOGIN_EVENTS,
      LAMBDA_NETWORK_LOGS, RUNTIME_MONITORING).
    - DISABLED: agent management, because it installs software and endpoints
      (RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT, /EC2_AGENT_MANAGEMENT, /ECS_FARGATE_AGENT_MANAGEMENT).
    - UNMANAGED: EKS_RUNTIME_MONITORING; and RDS_LOGIN_EVENTS/RDS_DATA_RISK (data activity of databases), AI_PROTECTION
      and AI_ANALYST, which AWS provider 5 refuses (docs/guardduty.md says how to set them).
  EOT
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, status in var.features : can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) && contains(["ENABLED", "DISABLED", "UNMANAGED"], status)])
    error_message = "features (detector.features) must map names such as \"S3_DATA_EVENTS\" or \"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT\" to ENABLED, DISABLED or UNMANAGED. Wrong: ${join(", ", [for key, status in var.features : "${key} = ${status}" if !can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) || !contains(["ENABLED", "DISABLED", "UNMANAGED"], status)])}."
  }
  validation {
    condition     = var.create || var.id != null || length(var.features) == 0
    error_message = "features (detector.features) need a detector: set create = true, or give the id of the one that exists."
  }
  validation {
    condition     = length(setintersection([for key in keys(var.features) : split("/", key)[0]], ["CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS"])) == 0
    error_message = "features (detector.features) cannot contain CLOUD_TRAIL, DNS_LOGS or FLOW_LOGS: these foundational sources are always on while GuardDuty is."
  }
  validation {
    condition = alltrue([
      for key in keys(var.features) : split("/", key)[0] != "EKS_RUNTIME_MONITORING" || contains(["EKS_RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT"], key)
    ])
    error_message = "features (detector.features): EKS_RUNTIME_MONITORING has the configuration EKS_ADDON_MANAGEMENT only; the other agents belong to RUNTIME_MONITORING."
  }
  validation {
    condition = alltrue([
      for key, status in var.features : !strcontains(key, "/") || status != "ENABLED" || lookup(merge(local.defaults, var.features), split("/", key)[0], "UNMANAGED") == "ENABLED"
    ])
    error_message = "features (detector.features) enables a configuration whose feature is not ENABLED: ${join(", ", [for key, status in var.features : key if strcontains(key, "/") && status == "ENABLED" && lookup(merge(local.defaults, var.features), split("/", key)[0], "UNMANAGED") != "ENABLED"])}. Enable the feature too, or set the configuration to DISABLED."
  }
  validation {
    condition     = length([for name in ["RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING"] : name if lookup(merge(local.defaults, var.features), name, "") == "ENABLED"]) < 2
    error_message = "features (detector.features) must not enable both RUNTIME_MONITORING (ENABLED by default) and EKS_RUNTIME_MONITORING: the first contains the second, and GuardDuty refuses the pair. Set one of them to DISABLED or UNMANAGED."
  }
  validation {
    condition = var.create || alltrue(flatten([
      for name, status in var.features : [for conf in lookup(local.known_configurations, name, []) : contains(keys(var.features), "${name}/${conf}") || local.default_features["${name}/${conf}"] == "UNMANAGED"] if status != "UNMANAGED"
    ]))
    error_message = "features (detector.features) names a protection plan of a detector that exists, and GuardDuty sets its agents with it. Say of each agent whether it is ENABLED or DISABLED (as it is today, or as you want it): ${join(", ", flatten([for name, status in var.features : [for conf in lookup(local.known_configurations, name, []) : "${name}/${conf}" if !contains(keys(var.features), "${name}/${conf}") && local.default_features["${name}/${conf}"] != "UNMANAGED"] if status != "UNMANAGED"]))}."
  }
}

# Apart from organization, whose value may wait for the registration, which may wait for the detector.
variable "managed_by" {
  description = <<-EOT
    GUARDDUTY_POLICY where a GuardDuty policy of AWS Organizations switches GuardDuty on, in the administrator's account
    as in any other. Then nothing of the organization is configured here, and of this account only the features that are
    named. MODULE where no policy does. modules/delegated-admin has an output that tells.
  EOT
  type        = string
  default     = "MODULE"
  nullable    = false

  validation {
    condition     = contains(["MODULE", "GUARDDUTY_POLICY"], var.managed_by)
    error_message = "managed_by (detector.managed_by) must be MODULE or GUARDDUTY_POLICY."
  }
}

variable "organization" {
  description = <<-EOT
    GuardDuty of the organization. Use it only in the delegated administrator's account (modules/delegated-admin
    registers it).
    - manage configures the organization.
    - auto_enable_members says who gets GuardDuty: ALL (also accounts that left it), NEW (accounts that join from
      now on) or NONE.
    - features has the keys of the detector's features and the values ALL, NEW, NONE or UNMANAGED. The default is
      ALL where the detector's is ENABLED, and NONE where it is DISABLED (UNMANAGED for what is not named of a detector
      that exists). NONE means "not for new accounts": an
      account that has the plan keeps it and pays for it, until member_features says DISABLED.
    - members maps account ids to e-mail addresses, for accounts that are to be members beside auto_enable_members =
      NEW or NONE. ALL makes every account a member within a day; newer providers then fail on a member that ALL
      created first (import it to aws_guardduty_member.this["<account>"], its id is <detector>:<account>). Removing
      an entry does not disassociate the member. Before you remove one, nothing may be ALL any more, neither
      auto_enable_members nor a feature; then run aws guardduty disassociate-members and delete-members
      (docs/off-boarding.md).
    - member_features maps an account id to the same keys and ENABLED or DISABLED, as exceptions of single accounts,
      which must be members. A feature that is named there must not be ALL.
    - administrator_account_id is the account that is the delegated administrator; any other account is refused. If
      you pass the output of modules/delegated-admin, the organization's configuration (and nothing else) waits for
      the registration.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(try(keys(var.organization), ["no object"]), ["manage", "auto_enable_members", "features", "members", "member_features", "administrator_account_id"])) == 0
    error_message = "organization must be an object with manage, auto_enable_members, features, members, member_features and administrator_account_id; it has ${join(", ", setsubtract(try(keys(var.organization), ["no keys"]), ["manage", "auto_enable_members", "features", "members", "member_features", "administrator_account_id"]))}."
  }

  validation {
    condition     = try(tobool(coalesce(var.organization.manage)), false) || length(try(coalesce(var.organization.features), {})) + length(try(coalesce(var.organization.members), {})) + length(try(coalesce(var.organization.member_features), {})) == 0
    error_message = "organization.features, members and member_features do nothing while organization.manage is false: set it to true in the delegated administrator's account, or leave them out."
  }
  validation {
    condition     = var.managed_by != "GUARDDUTY_POLICY" || length(try(coalesce(var.organization.features), {})) + length(try(coalesce(var.organization.members), {})) + length(try(coalesce(var.organization.member_features), {})) == 0
    error_message = "managed_by (detector.managed_by) is GUARDDUTY_POLICY: a policy of AWS Organizations says which accounts have which protection plans, and organization.features, members and member_features would do nothing. Write them into the policy, or set managed_by to MODULE."
  }
  validation {
    condition     = contains(["ALL", "NEW", "NONE"], try(coalesce(var.organization.auto_enable_members), "ALL"))
    error_message = "organization.auto_enable_members must be ALL, NEW or NONE."
  }
  validation {
    condition     = alltrue([for key, status in try(coalesce(var.organization.features), {}) : can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) && contains(["ALL", "NEW", "NONE", "UNMANAGED"], status)])
    error_message = "organization.features must map names such as \"S3_DATA_EVENTS\" or \"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT\" to ALL, NEW, NONE or UNMANAGED. Wrong: ${join(", ", [for key, status in try(coalesce(var.organization.features), []) : "${key} = ${status}" if !can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) || !contains(["ALL", "NEW", "NONE", "UNMANAGED"], status)])}."
  }
  validation {
    condition     = alltrue([for id, email in try(coalesce(var.organization.members), {}) : can(regex("^[0-9]{12}$", id)) && can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "organization.members must map 12-digit account ids to the e-mail addresses of the accounts. Wrong: ${join(", ", [for id, email in try(coalesce(var.organization.members), []) : "${id} = ${email}" if !can(regex("^[0-9]{12}$", id)) || !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])}."
  }
  validation {
    condition     = alltrue([for id in keys(try(coalesce(var.organization.member_features), {})) : can(regex("^[0-9]{12}$", id))])
    error_message = "organization.member_features must have 12-digit account ids as keys. Wrong: ${join(", ", [for id in try(keys(var.organization.member_features), []) : id if !can(regex("^[0-9]{12}$", id))])}."
  }
  validation {
    condition = alltrue(flatten([for id, wanted in try(coalesce(var.organization.member_features), {}) : [
      for key, status in wanted : can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) && contains(["ENABLED", "DISABLED"], status)
    ]]))
    error_message = "organization.member_features must map names such as \"S3_DATA_EVENTS\" or \"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT\" of each account to ENABLED or DISABLED (an account without an exception is left out). Wrong: ${join(", ", flatten([for id, wanted in try(coalesce(var.organization.member_features), []) : [for key, status in wanted : "${key} = ${status} of ${id}" if !can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) || !contains(["ENABLED", "DISABLED"], status)]]))}."
  }
  validation {
    condition = length(setintersection(
      [for key in concat(keys(try(coalesce(var.organization.features), {})), flatten([for wanted in values(try(coalesce(var.organization.member_features), {})) : keys(wanted)])) : split("/", key)[0]],
      ["CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS"],
    )) == 0
    error_message = "organization.features and organization.member_features cannot contain CLOUD_TRAIL, DNS_LOGS or FLOW_LOGS: these foundational sources are always on while GuardDuty is."
  }
  validation {
    condition = alltrue([
      for key in concat(keys(try(coalesce(var.organization.features), {})), flatten([for wanted in values(try(coalesce(var.organization.member_features), {})) : keys(wanted)])) :
      split("/", key)[0] != "EKS_RUNTIME_MONITORING" || contains(["EKS_RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT"], key)
    ])
    error_message = "organization.features and organization.member_features: EKS_RUNTIME_MONITORING has the configuration EKS_ADDON_MANAGEMENT only; the other agents belong to RUNTIME_MONITORING."
  }
  validation {
    condition = alltrue(flatten([for wanted in values(try(coalesce(var.organization.member_features), {})) : [
      for key, status in wanted : !strcontains(key, "/") || lookup(wanted, split("/", key)[0], "") == "ENABLED" || (status == "DISABLED" && lookup(wanted, split("/", key)[0], "") == "DISABLED")
    ]]))
    error_message = "organization.member_features names a configuration without its feature, or enables one whose feature is DISABLED: ${join(", ", flatten([for id, wanted in try(coalesce(var.organization.member_features), []) : [for key, status in wanted : "${key} of ${id}" if strcontains(key, "/") && lookup(wanted, split("/", key)[0], "") != "ENABLED" && !(status == "DISABLED" && lookup(wanted, split("/", key)[0], "") == "DISABLED")]]))}. Say both, for example { RUNTIME_MONITORING = \"ENABLED\", \"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT\" = \"ENABLED\" }."
  }
  validation {
    condition     = alltrue([for wanted in values(try(coalesce(var.organization.member_features), {})) : length([for name in ["RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING"] : name if lookup(wanted, name, "") == "ENABLED"]) < 2])
    error_message = "organization.member_features must not enable both RUNTIME_MONITORING and EKS_RUNTIME_MONITORING for one account: the first contains the second, and GuardDuty refuses the pair."
  }
  validation {
    condition     = try(var.organization.administrator_account_id, null) == null || can(regex("^[0-9]{12}$", try(var.organization.administrator_account_id, null)))
    error_message = "organization.administrator_account_id must be a 12-digit account id, or null."
  }
}

# With their defaults. try() would call everything unknown in which anything is, such as an e-mail address.
locals {
  given_organization = merge(
    { manage = false, auto_enable_members = "ALL", features = {}, members = {}, member_features = {}, administrator_account_id = null },
    var.organization,
  )
  organization = {
    manage                   = coalesce(tobool(local.given_organization.manage), false)
    auto_enable_members      = coalesce(local.given_organization.auto_enable_members, "ALL")
    features                 = tomap(local.given_organization.features == null ? {} : local.given_organization.features)
    members                  = tomap(local.given_organization.members == null ? {} : local.given_organization.members)
    member_features          = merge({}, local.given_organization.member_features)
    administrator_account_id = local.given_organization.administrator_account_id
  }
}

variable "arn_base" {
  description = <<-EOT
    partition, region and account_id of the detector, from something that has them in its ARN. The ARN of a detector
    that is not created here is built from them (null without it).
  EOT
  type = object({
    partition  = string
    region     = string
    account_id = string
  })
  default = null
}

variable "tags" {
  description = "Tags of the detector."
  type        = map(string)
  default     = {}
  nullable    = false
}
