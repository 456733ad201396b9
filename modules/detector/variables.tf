# Rules that need the defaults merged in, or the account's id, are preconditions of what they are about.

variable "create" {
  description = "Create the detector. When false, id names the one that exists (or nothing is managed)."
  type        = bool
  default     = true
  nullable    = false
}

variable "id" {
  description = "Id of an existing detector, when create is false; known when planning (a literal or a data source). Its protection plans are managed like those of one created here: the defaults of features apply, and the plan shows each of them."
  type        = string
  default     = null

  validation {
    condition     = var.create ? var.id == null : true
    error_message = "id (detector.id) names a detector that exists: set create = false with it, or leave it out."
  }
}

variable "finding_publishing_frequency" {
  description = "How often GuardDuty sends updates of existing findings: FIFTEEN_MINUTES (null), ONE_HOUR or SIX_HOURS; members have their administrator's. Of a detector created here alone: one that exists keeps its own, SIX_HOURS where AWS made it."
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
  description = "\"FEATURE\" or \"FEATURE/CONFIGURATION\" => ENABLED, DISABLED or UNMANAGED (left alone; for what a Region or partition does not have). Merged over the defaults: all protection plans ENABLED (S3_DATA_EVENTS, EKS_AUDIT_LOGS, EBS_MALWARE_PROTECTION, RDS_LOGIN_EVENTS, LAMBDA_NETWORK_LOGS, RUNTIME_MONITORING), their agent management DISABLED (RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT, /EC2_AGENT_MANAGEMENT, /ECS_FARGATE_AGENT_MANAGEMENT: it installs software and endpoints), EKS_RUNTIME_MONITORING UNMANAGED. Names newer than this module are taken when the provider knows them. Leaving a name out does not turn it off: say DISABLED."
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
      for key, status in var.features : !strcontains(key, "/") || status != "ENABLED" || lookup(merge(local.default_features, var.features), split("/", key)[0], "UNMANAGED") == "ENABLED"
    ])
    error_message = "features (detector.features) enables a configuration whose feature is not ENABLED: ${join(", ", [for key, status in var.features : key if strcontains(key, "/") && status == "ENABLED" && lookup(merge(local.default_features, var.features), split("/", key)[0], "UNMANAGED") != "ENABLED"])}. Enable the feature too, or set the configuration to DISABLED."
  }
  validation {
    condition     = length([for name in ["RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING"] : name if lookup(merge(local.default_features, var.features), name, "") == "ENABLED"]) < 2
    error_message = "features (detector.features) must not enable both RUNTIME_MONITORING (ENABLED by default) and EKS_RUNTIME_MONITORING: the first contains the second, and GuardDuty refuses the pair. Set one of them to DISABLED or UNMANAGED."
  }
}

variable "organization" {
  description = "Only in the delegated administrator's account (modules/delegated-admin registers it). manage: configure the organization. auto_enable_members: who gets GuardDuty, ALL (also those who left it), NEW (who joins from now on) or NONE. features: like the detector's, => ALL, NEW, NONE or UNMANAGED; by default ALL where the detector's is ENABLED, NONE where it is DISABLED. NONE is \"not for new accounts\": an account that has the plan keeps it, and pays, until member_features says DISABLED for it. members: account id => e-mail, for accounts to be members beside auto_enable_members = NEW or NONE; ALL makes everybody one, within a day (newer providers fail on a member that ALL made first: import it to aws_guardduty_member.this[\"<account>\"], its id is <detector>:<account>). Before taking an account out: nothing ALL any more, neither auto_enable_members nor a feature, then aws guardduty disassociate-members and delete-members (docs/off-boarding.md); removing it here alone lets nobody go. member_features: account id => the same keys => ENABLED or DISABLED, exceptions of single accounts, which must be members; what is named there must not be ALL. administrator_account_id: the account that is the delegated administrator: refused anywhere else; given modules/delegated-admin's output, the organization's configuration (and nothing else) waits for the registration."
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

  validation {
    condition     = var.organization.manage || length(var.organization.features) + length(var.organization.members) + length(var.organization.member_features) == 0
    error_message = "organization.features, members and member_features do nothing while organization.manage is false: set it to true in the delegated administrator's account, or leave them out."
  }
  validation {
    condition     = contains(["ALL", "NEW", "NONE"], var.organization.auto_enable_members)
    error_message = "organization.auto_enable_members must be ALL, NEW or NONE."
  }
  validation {
    condition     = alltrue([for key, status in var.organization.features : can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) && contains(["ALL", "NEW", "NONE", "UNMANAGED"], status)])
    error_message = "organization.features must map names such as \"S3_DATA_EVENTS\" or \"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT\" to ALL, NEW, NONE or UNMANAGED. Wrong: ${join(", ", [for key, status in var.organization.features : "${key} = ${status}" if !can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) || !contains(["ALL", "NEW", "NONE", "UNMANAGED"], status)])}."
  }
  validation {
    condition     = alltrue([for id, email in var.organization.members : can(regex("^[0-9]{12}$", id)) && can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "organization.members must map 12-digit account ids to the e-mail addresses of the accounts. Wrong: ${join(", ", [for id, email in var.organization.members : "${id} = ${email}" if !can(regex("^[0-9]{12}$", id)) || !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])}."
  }
  validation {
    condition     = alltrue([for id in keys(var.organization.member_features) : can(regex("^[0-9]{12}$", id))])
    error_message = "organization.member_features must have 12-digit account ids as keys. Wrong: ${join(", ", [for id in keys(var.organization.member_features) : id if !can(regex("^[0-9]{12}$", id))])}."
  }
  validation {
    condition = alltrue(flatten([for id, wanted in var.organization.member_features : [
      for key, status in wanted : can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) && contains(["ENABLED", "DISABLED"], status)
    ]]))
    error_message = "organization.member_features must map names such as \"S3_DATA_EVENTS\" or \"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT\" of each account to ENABLED or DISABLED (an account without an exception is left out). Wrong: ${join(", ", flatten([for id, wanted in var.organization.member_features : [for key, status in wanted : "${key} = ${status} of ${id}" if !can(regex("^[A-Z][A-Z0-9_]*(/[A-Z][A-Z0-9_]*)?$", key)) || !contains(["ENABLED", "DISABLED"], status)]]))}."
  }
  validation {
    condition = length(setintersection(
      [for key in concat(keys(var.organization.features), flatten([for wanted in values(var.organization.member_features) : keys(wanted)])) : split("/", key)[0]],
      ["CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS"],
    )) == 0
    error_message = "organization.features and organization.member_features cannot contain CLOUD_TRAIL, DNS_LOGS or FLOW_LOGS: these foundational sources are always on while GuardDuty is."
  }
  validation {
    condition = alltrue([
      for key in concat(keys(var.organization.features), flatten([for wanted in values(var.organization.member_features) : keys(wanted)])) :
      split("/", key)[0] != "EKS_RUNTIME_MONITORING" || contains(["EKS_RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT"], key)
    ])
    error_message = "organization.features and organization.member_features: EKS_RUNTIME_MONITORING has the configuration EKS_ADDON_MANAGEMENT only; the other agents belong to RUNTIME_MONITORING."
  }
  validation {
    condition = alltrue(flatten([for wanted in values(var.organization.member_features) : [
      for key, status in wanted : !strcontains(key, "/") || lookup(wanted, split("/", key)[0], "") == "ENABLED" || (status == "DISABLED" && lookup(wanted, split("/", key)[0], "") == "DISABLED")
    ]]))
    error_message = "organization.member_features names a configuration without its feature, or enables one whose feature is DISABLED: ${join(", ", flatten([for id, wanted in var.organization.member_features : [for key, status in wanted : "${key} of ${id}" if strcontains(key, "/") && lookup(wanted, split("/", key)[0], "") != "ENABLED" && !(status == "DISABLED" && lookup(wanted, split("/", key)[0], "") == "DISABLED")]]))}. Say both, for example { RUNTIME_MONITORING = \"ENABLED\", \"RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT\" = \"ENABLED\" }."
  }
  validation {
    condition     = alltrue([for wanted in values(var.organization.member_features) : length([for name in ["RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING"] : name if lookup(wanted, name, "") == "ENABLED"]) < 2])
    error_message = "organization.member_features must not enable both RUNTIME_MONITORING and EKS_RUNTIME_MONITORING for one account: the first contains the second, and GuardDuty refuses the pair."
  }
  validation {
    condition     = var.organization.administrator_account_id == null || can(regex("^[0-9]{12}$", var.organization.administrator_account_id))
    error_message = "organization.administrator_account_id must be a 12-digit account id, or null."
  }
}

variable "arn_base" {
  description = "partition, region and account_id of the detector, from something that has them in its ARN: what the ARN of a detector that is not created here is built from (null without it)."
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
