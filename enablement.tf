# Switches GuardDuty on: this account's detector and, in the delegated administrator, the organization's. The rules of
# both variables are in the module, where a call for another Region meets them too.

module "detector" {
  source = "./modules/detector"
  count  = var.create ? 1 : 0

  create                       = var.detector.create
  id                           = var.detector.id
  finding_publishing_frequency = var.detector.finding_publishing_frequency
  features                     = var.detector.features
  managed_by                   = var.detector.managed_by
  organization                 = var.organization
  arn_base                     = local.arn_base
  tags                         = var.tags
}
