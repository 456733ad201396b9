# The variables that are objects, with a value for every key. schema/variables/<name>.json has the keys of each; what it
# does not have fails the plan. Each has a module call of its own: your key may get its policy from
# this module's outputs, so what one variable says must not wait for another.

locals {
  schemas = {
    for file in fileset("${path.module}/schema/variables", "*.json") : trimsuffix(file, ".json") => jsondecode(file("${path.module}/schema/variables/${file}"))
  }
}

module "iam_settings" {
  source = "./modules/typed-options"

  name   = "iam"
  value  = var.iam
  schema = local.schemas.iam

  fails_the_plan = true
}

module "kms_settings" {
  source = "./modules/typed-options"

  name   = "kms"
  value  = var.kms
  schema = local.schemas.kms

  fails_the_plan = true
}

module "notifications_settings" {
  source = "./modules/typed-options"

  name   = "notifications"
  value  = var.notifications
  schema = local.schemas.notifications

  fails_the_plan = true
}

module "evidence_settings" {
  source = "./modules/typed-options"

  name   = "evidence"
  value  = var.evidence
  schema = local.schemas.evidence

  fails_the_plan = true
}

module "functions_settings" {
  source = "./modules/typed-options"

  name   = "functions"
  value  = var.functions
  schema = local.schemas.functions

  fails_the_plan = true
}

module "watch_settings" {
  source = "./modules/typed-options"

  name   = "watch"
  value  = var.watch
  schema = local.schemas.watch

  fails_the_plan = true
}

module "forensics_settings" {
  source = "./modules/typed-options"

  name   = "forensics"
  value  = var.forensics
  schema = local.schemas.forensics

  fails_the_plan = true
}

module "event_forwarding_settings" {
  source = "./modules/typed-options"

  name   = "event_forwarding"
  value  = var.event_forwarding
  schema = local.schemas.event_forwarding

  fails_the_plan = true
}

# Only where the variable is set: a condition cannot choose between nothing and an object.
module "guardduty_settings" {
  source = "./modules/typed-options"
  count  = var.guardduty == null ? 0 : 1

  name   = "guardduty"
  value  = var.guardduty
  schema = local.schemas.guardduty

  fails_the_plan = true
}

locals {
  iam_settings              = module.iam_settings.values
  kms_settings              = module.kms_settings.values
  notifications_settings    = module.notifications_settings.values
  evidence_settings         = module.evidence_settings.values
  functions_settings        = module.functions_settings.values
  watch_settings            = module.watch_settings.values
  forensics_settings        = module.forensics_settings.values
  event_forwarding_settings = module.event_forwarding_settings.values
  # Null if nothing of GuardDuty is to be touched
  guardduty = one(module.guardduty_settings[*].values)
}
