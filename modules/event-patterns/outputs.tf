output "findings" {
  description = "Event pattern of every unarchived finding, as JSON."
  value       = local.findings
}

output "changes" {
  description = "Event pattern of API calls that can undo a containment, as JSON (null without playbooks)."
  value       = local.changes

  precondition {
    condition     = local.changes == null ? true : length(local.changes) < 2048
    error_message = "The event pattern of what can undo a containment has ${try(length(local.changes), 0)} characters; EventBridge takes fewer than 2048. Shorten playbooks/*/undoing-calls.json, or leave these events out (watch.cloudtrail = false, or events without \"changes\"): the schedule still finds what was undone."
  }
}
