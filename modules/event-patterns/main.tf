# Internal: the root module and modules/incident call this module. Its variables may change in any release.
#
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

  # Each playbook says which calls can undo its containment: source => event names. Sorted: the order decides below.
  names   = sort(var.playbooks)
  undoing = { for name in local.names : name => jsondecode(file("${path.module}/../../playbooks/${name}/undoing-calls.json")) }
  # A call that several playbooks name is in the pattern of the first of them alone, so that no call matches two rules.
  # Who is told of a call looks at the containments of all playbooks.
  own_calls = {
    for index, name in local.names : name => {
      for source, calls in local.undoing[name] : source => setsubtract(calls, flatten([for other in slice(local.names, 0, index) : try(local.undoing[other][source], [])]))
    }
  }
  calls = { for name, sources in local.own_calls : name => { for source, calls in sources : source => calls if length(calls) > 0 } }

  # Roles that exist in every account in which these playbooks change resources, so that nobody else can take the
  # name. The other roles (restorer, remediator, terminator) are off by default, and call rarely.
  own_roles = flatten([for name in local.names : [
    for kind in ["responder", "collector"] : "${var.name_prefix}-${kind}-${replace(name, "_", "-")}"
    if fileexists("${path.module}/../../playbooks/${name}/${kind}-policy.json")
  ]])

  # A playbook's pattern serves all its sources, because no source has another's event names. The response's own roles
  # are excluded by their exact names. The issuer's name is absent for users and root, whose calls count. The reconciler
  # filters again, by the ARNs of all roles.
  changes = [
    for name in local.names : {
      playbook = name
      pattern = jsonencode({
        source      = sort(keys(local.calls[name]))
        detail-type = ["AWS API Call via CloudTrail"]
        detail = {
          eventName = sort(distinct(flatten([for calls in values(local.calls[name]) : tolist(calls)])))
          errorCode = [{ exists = false }]
          userIdentity = { sessionContext = { sessionIssuer = { userName = [
            { exists = false },
            { anything-but = local.own_roles },
          ] } } }
        }
      })
    } if length(local.calls[name]) > 0
  ]
}
