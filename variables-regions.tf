variable "event_forwarding" {
  description = <<-EOT
    Says what this Region's default event bus accepts from other accounts, for example { from_organization = true }.
    docs/settings.md lists the keys. This replaces the whole policy of the bus. If the bus has a policy already, put its
    statements into more_statements (JSON, one each), or set manage_policy = false and add the output
    event_bus_policy_statement to that policy.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = !try(coalesce(tobool(var.event_forwarding.from_organization)), false) || var.organization_id != null
    error_message = "event_forwarding.from_organization needs organization_id: the bus opens to that organization alone."
  }
  validation {
    condition     = try(length(var.event_forwarding.more_statements), 0) == 0 || (try(coalesce(tobool(var.event_forwarding.from_organization)), false) && try(coalesce(tobool(var.event_forwarding.manage_policy)), true))
    error_message = "event_forwarding.more_statements go into a policy made here: they need from_organization = true and manage_policy = true."
  }
  validation {
    condition = alltrue([
      for statement in try([for given in var.event_forwarding.more_statements : given], []) :
      can(jsondecode(statement).Effect) && can(jsondecode(statement).Principal) && can(jsondecode(statement).Action) && can(jsondecode(statement).Resource)
    ])
    error_message = "event_forwarding.more_statements must each be one policy statement as JSON, with Effect, Principal, Action and Resource."
  }
}
