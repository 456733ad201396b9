output "findings" {
  description = "Event pattern of every unarchived finding, as JSON."
  value       = local.findings
}

output "changes" {
  description = <<-EOT
    API calls that can undo a containment: a list of { playbook, name, pattern (JSON) }, in the order of the playbooks'
    names. name ends the name of the rule; the first rule has the name that it had when it was the only one.
  EOT
  value       = [for index, change in local.changes : merge(change, { name = index == 0 ? "changes" : "changes-${index + 1}" })]

  precondition {
    condition     = alltrue([for change in local.changes : length(change.pattern) < 2048])
    error_message = "EventBridge takes fewer than 2048 characters in an event pattern. Too long is what can undo a containment of ${join(", ", [for change in local.changes : "${change.playbook} (${length(change.pattern)})" if length(change.pattern) >= 2048])}. Shorten playbooks/<name>/undoing-calls.json, or leave these events out (watch.cloudtrail = false, or events without \"changes\"): the schedule still finds what was undone."
  }
}

output "forwarder_rules" {
  description = "Maps the end of the name of each rule of a forwarder (findings, changes, changes-2, …) to its description and pattern (JSON)."
  value = merge(
    { findings = { description = "Every unarchived finding, on to the response's home Region.", pattern = local.findings } },
    {
      for index, change in local.changes : index == 0 ? "changes" : "changes-${index + 1}" => {
        description = "API calls that can undo a containment of ${change.playbook}, of anybody but the response, on to its home Region."
        pattern     = change.pattern
      }
    },
  )
}
