# The functions that act. Each has one job, and a role that may assume one kind of member role: what contains cannot collect,
# restore or terminate, and none of these the others' work.

locals {
  jobs = {
    playbook = {
      handler          = "playbook"
      member_role      = "responder"
      on               = [for name in local.playbooks_in_use : name]
      zip              = "playbook"
      description      = "Contains and verifies."
      alarm            = "Containing raised an error: an incident may not have been contained."
      evidence_actions = ["s3:GetObject", "s3:PutObject"]
      tells            = false
    }
    collector = {
      handler          = "collector"
      member_role      = "collector"
      on               = [for name in local.playbooks_in_use : name]
      zip              = "collect"
      description      = "Collects forensics and evidence."
      alarm            = "Collecting evidence raised an error: evidence of an incident may be missing."
      evidence_actions = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
      tells            = false
    }
    restore = {
      handler          = "restore"
      member_role      = "restorer"
      on               = [for name, options in var.playbooks : name if options.restore]
      zip              = "restore"
      description      = "Undoes containment, and closes incidents; started by people only."
      alarm            = "Undoing a containment raised an error: a resource may be restored in part, unrecorded. Ask again after looking."
      evidence_actions = ["s3:PutObject"]
      tells            = true
    }
    terminate = {
      handler          = "terminate"
      member_role      = "terminator"
      on               = [for name in local.playbooks_in_use : name if var.playbooks[name].finish == "terminate"]
      zip              = "terminate"
      description      = "Terminates what is contained and kept as evidence."
      alarm            = "Terminating raised an error: a contained resource may still exist."
      evidence_actions = ["s3:GetObject"]
      tells            = false
    }
  }

  more_statements = {
    playbook  = []
    terminate = []
    collector = concat(
      [{
        Sid      = "Tools"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${try(module.incident[0].bucket_arn, "")}/tools/*"
      }],
      [for account in [var.evidence.forensics_account] : {
        Sid      = "CopyRoleOfTheForensicsAccount"
        Effect   = "Allow"
        Action   = "sts:AssumeRole"
        Resource = "arn:${local.partition}:iam::${account.account_id}:role${var.iam.path}${account.copy_role_name}"
      } if try(account.copy_role_name, null) != null],
    )
    restore = [{
      Sid       = "OwnLease"
      Effect    = "Allow"
      Action    = "dynamodb:DeleteItem"
      Resource  = try(module.incident[0].table_arn, "")
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = "RESOURCE#*" } }
    }]
  }

  # "<playbook>/<job>" => its playbook and job; known from the variables alone.
  functions = merge([
    for job, what in local.jobs : { for name in what.on : "${name}/${job}" => { playbook = name, job = job } }
  ]...)

  # What the state machine may call, by phase: act (plan, contain, verify), collect, finish, terminate.
  playbook_functions = {
    for name in var.create ? local.playbooks_in_use : [] : name => merge(
      {
        act     = module.function["${name}/playbook"].function_arn
        collect = module.function["${name}/collector"].function_arn
        finish  = module.function["${name}/playbook"].function_arn
      },
      { for key in ["${name}/terminate"] : "terminate" => module.function[key].function_arn if contains(keys(local.functions), key) },
    )
  }
}

module "function" {
  source   = "./modules/function"
  for_each = { for key, what in local.functions : key => what if var.create }

  playbook           = each.value.playbook
  job                = each.value.job
  handler            = local.jobs[each.value.job].handler
  member_role        = local.jobs[each.value.job].member_role
  description        = local.jobs[each.value.job].description
  alarm              = local.jobs[each.value.job].alarm
  evidence_actions   = local.jobs[each.value.job].evidence_actions
  more_statements    = local.more_statements[each.value.job]
  topic_arns         = local.jobs[each.value.job].tells ? local.topic_arns : null
  zip                = "${path.module}/lambda_src/dist/${local.jobs[each.value.job].zip}_${each.value.playbook}.zip"
  name_prefix        = var.name_prefix
  environment        = module.incident[0].function_environment
  table_arn          = module.incident[0].table_arn
  bucket_arn         = module.incident[0].bucket_arn
  alarm_topic_arn    = local.topic_arns.notifications
  kms_key_arn        = local.kms_key_arn
  organization_id    = var.organization_id
  arn_base           = local.arn_base
  iam                = var.iam
  functions          = var.functions
  log_retention_days = var.evidence.log_retention_days
  tags               = var.tags
}
