variable "event_forwarding" {
  description = <<-EOT
    Says what this Region's default event bus accepts from other accounts. from_organization accepts API calls that
    can undo a containment, from modules/region-forwarder in members of organization_id. It never accepts findings,
    because GuardDuty delivers those itself.
    This replaces the whole policy of the bus. If the bus has a policy already, put its statements into
    more_statements (JSON, one each), or set manage_policy = false and add the output event_bus_policy_statement to
    that policy.
  EOT
  type = object({
    from_organization = optional(bool, false)
    manage_policy     = optional(bool, true)
    more_statements   = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = !var.event_forwarding.from_organization || var.organization_id != null
    error_message = "event_forwarding.from_organization needs organization_id: the bus opens to that organization alone."
  }
  validation {
    condition     = length(var.event_forwarding.more_statements) == 0 || (var.event_forwarding.from_organization && var.event_forwarding.manage_policy)
    error_message = "event_forwarding.more_statements go into a policy made here: they need from_organization = true and manage_policy = true."
  }
  validation {
    condition = alltrue([
      for statement in var.event_forwarding.more_statements :
      can(jsondecode(statement).Effect) && can(jsondecode(statement).Principal) && can(jsondecode(statement).Action) && can(jsondecode(statement).Resource)
    ])
    error_message = "event_forwarding.more_statements must each be one policy statement as JSON, with Effect, Principal, Action and Resource."
  }
}
