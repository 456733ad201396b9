# What GuardDuty analyses, here and in the organization's accounts. modules/detector checks the values.

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
    - managed_by is GUARDDUTY_POLICY where a GuardDuty policy of AWS Organizations switches GuardDuty on. Then nothing
      of the organization is configured here, and of this account only the features that are named.
  EOT
  type = object({
    create                       = optional(bool, true)
    id                           = optional(string)
    finding_publishing_frequency = optional(string)
    features                     = optional(map(string), {})
    managed_by                   = optional(string, "MODULE")
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
