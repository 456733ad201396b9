# This module has no resources. It is the only source of the event patterns, for the rules of the aggregation Region
# and for the forwarders.

locals {
  # Both state machines depend on archived. GuardDuty sends it as a boolean or as a string, or leaves it out.
  unarchived = { archived = [false, "false", { exists = false }] }

  findings = jsonencode({
    source      = ["aws.guardduty"]
    detail-type = ["GuardDuty Finding"]
    detail      = { service = local.unarchived }
  })

  # Each playbook says which calls can undo its containment: source => event names.
  undoing = [for name in var.playbooks : jsondecode(file("${path.module}/../../playbooks/${name}/undoing-calls.json"))]

  # Roles that exist in every account in which these playbooks change resources, so that nobody else can take the
  # name. The other roles (restorer, remediator, terminator) are off by default, and call rarely.
  own_roles = flatten([for name in var.playbooks : [
    for kind in ["responder", "collector"] : "${var.name_prefix}-${kind}-${replace(name, "_", "-")}"
    if fileexists("${path.module}/../../playbooks/${name}/${kind}-policy.json")
  ]])

  # One pattern serves all sources, because no source has another's event names. The response's own roles are excluded
  # by their exact names. The issuer's name is absent for users and root, whose calls count. The reconciler filters
  # again, by the ARNs of all roles.
  changes = length(var.playbooks) == 0 ? null : jsonencode({
    source      = sort(distinct(flatten([for calls in local.undoing : keys(calls)])))
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventName = sort(distinct(flatten([for calls in local.undoing : values(calls)])))
      errorCode = [{ exists = false }]
      userIdentity = { sessionContext = { sessionIssuer = { userName = [
        { exists = false },
        { anything-but = local.own_roles },
      ] } } }
    }
  })
}
