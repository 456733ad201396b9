# No resources: the one source of what the response listens to, for the home Region's rules and for the forwarders' alike.

locals {
  # The two answers rest on archived: GuardDuty sends it as a boolean or a string, or leaves it out.
  unarchived = { archived = [false, "false", { exists = false }] }

  findings = jsonencode({
    source      = ["aws.guardduty"]
    detail-type = ["GuardDuty Finding"]
    detail      = { service = local.unarchived }
  })

  # What can undo a containment belongs to its playbook: source => event names.
  undoing = [for name in var.playbooks : jsondecode(file("${path.module}/../../playbooks/${name}/undoing-calls.json"))]

  # Roles that every account has in which these playbooks act, so that nobody can take the name; what else the response may have
  # (restorer, remediator, terminator) is off by default, and calls seldom.
  own_roles = flatten([for name in var.playbooks : [
    for kind in ["responder", "collector"] : "${var.name_prefix}-${kind}-${replace(name, "_", "-")}"
    if fileexists("${path.module}/../../playbooks/${name}/${kind}-policy.json")
  ]])

  # One pattern for all: a source never has another's event names. The response's own roles are left out by name, exactly: the
  # issuer's name is absent for users and root, whose calls count. The watchdog filters again, by ARN, all that there are.
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
