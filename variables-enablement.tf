# What GuardDuty looks at, here and in the organization's accounts. modules/detector checks the values.

variable "detector" {
  description = "The GuardDuty detector of this account and Region: created here, or one that exists (create = false and id). finding_publishing_frequency: of one that is created, FIFTEEN_MINUTES by default; one that exists keeps its own, SIX_HOURS where AWS made it. features: this account's, \"FEATURE\" or \"FEATURE/CONFIGURATION\" => ENABLED, DISABLED or UNMANAGED, merged over the defaults: every protection plan ENABLED, agent management (RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT, /EC2_AGENT_MANAGEMENT, /ECS_FARGATE_AGENT_MANAGEMENT) DISABLED, also for a detector that exists: the plan shows each. With create = false and no id, nothing of GuardDuty is managed."
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
  description = "GuardDuty of the organization, managed from here when this account is its delegated administrator (modules/delegated-admin). auto_enable_members: ALL, NEW or NONE. features: like detector.features, => ALL, NEW, NONE or UNMANAGED; by default ALL where the detector's is ENABLED and NONE where it is DISABLED. NONE is \"not for new accounts\": an account that has the plan keeps it, and pays, until member_features says DISABLED for it. members: account id => e-mail, for accounts to be members beside NEW or NONE (ALL makes everybody one, within a day); before taking one out, let it go (docs/off-boarding.md): removing it here alone does not. member_features: account id => feature => ENABLED or DISABLED, exceptions; a feature named there must not be ALL. administrator_account_id: the account this must be; with modules/delegated-admin's output here, the organization's configuration waits for the registration."
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
