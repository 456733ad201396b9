# The whole organization in one configuration and one apply. The management account registers the security account,
# the security account detects and responds, and a member account has the roles for it. Each part waits for the one
# before.

provider "aws" {
  region = var.region
  assume_role {
    role_arn = "arn:aws:iam::${var.security_account_id}:role/${var.deployment_role}"
  }
}

provider "aws" {
  alias  = "management"
  region = var.region
  assume_role {
    role_arn = "arn:aws:iam::${var.management_account_id}:role/${var.deployment_role}"
  }
}

provider "aws" {
  alias  = "workloads"
  region = var.region
  assume_role {
    role_arn = "arn:aws:iam::${var.workloads_account_id}:role/${var.deployment_role}"
  }
}

locals {
  # NEW where single accounts may differ, because GuardDuty refuses exceptions from ALL.
  plans = {
    EBS_MALWARE_PROTECTION = "ALL"
    EKS_AUDIT_LOGS         = "ALL"
    LAMBDA_NETWORK_LOGS    = "NEW"
    RDS_LOGIN_EVENTS       = "ALL"
    RUNTIME_MONITORING     = "ALL"
    S3_DATA_EVENTS         = "ALL"
  }
}

# Registered after the security account has its detector. The organization's configuration there waits for the
# registration.
module "delegated_admin" {
  source    = "../../modules/delegated-admin"
  providers = { aws = aws.management }

  admin_account_id  = var.security_account_id
  admin_detector_id = module.guardduty.detector_id
}

# Detection, apart from the response: the response can go, and this stays. The registration needs the detector, and the
# organization's configuration needs the registration. The variable guardduty of the response, which holds both, cannot
# wait for itself.
module "guardduty" {
  source = "../../modules/guardduty"

  detector = {
    # Agents are software in your instances and clusters. Switch them on where you want them.
    features = { "RUNTIME_MONITORING/EKS_ADDON_MANAGEMENT" = "ENABLED" }
  }

  organization = {
    manage                   = true
    administrator_account_id = module.delegated_admin.admin_account_id
    auto_enable_members      = var.auto_enable_members

    # The plans follow auto-enable, because GuardDuty disassociates no member while one of them is ALL.
    features        = { for plan, status in local.plans : plan => var.auto_enable_members == "NONE" ? "NONE" : status }
    members         = var.members
    member_features = var.member_features
  }

  suppression_filters = [{
    name        = "scanner"
    description = "Port probes of our own scanner."
    criteria = {
      type                                                                          = { equals = ["Recon:EC2/PortProbeUnprotectedPort"] }
      "service.action.portProbeAction.portProbeDetails.remoteIpDetails.ipAddressV4" = { equals = ["198.51.100.7"] }
    }
  }]
}

module "guardduty_response" {
  source = "../.."

  organization_id    = module.delegated_admin.organization_id
  guardduty_features = module.guardduty.features_in_use

  # Begin with dry_run everywhere, then proceed account by account.
  remediations = {
    "CryptoCurrency:EC2/*"   = "dry_run"
    "Backdoor:EC2/*"         = "dry_run"
    "*:IAMUser/*"            = "notify"
    "Recon:EC2/PortProbe*"   = "off"
    "UnauthorizedAccess:*/*" = "notify"
  }
  account_remediations = {
    (var.workloads_account_id) = { "CryptoCurrency:EC2/*" = "auto" }
  }

  management_account_id = module.delegated_admin.management_account_id
  exempt_principals     = ["arn:aws:iam::*:role/${var.deployment_role}", "arn:aws:iam::*:role/break-glass"]

  # GuardDuty delivers members' findings by itself. Calls that can undo a containment are forwarded by the member
  # accounts.
  event_forwarding = { from_organization = true }

  notifications = { email_addresses = var.email_addresses }
}

# What a member account needs. With many accounts, examples/stackset deploys it to whole units.
module "responder_role" {
  source    = "../../modules/responder-role"
  providers = { aws = aws.workloads }

  for_member_accounts = module.guardduty_response.for_member_accounts
}

module "changes" {
  source    = "../../modules/region-forwarder"
  providers = { aws = aws.workloads }

  for_member_accounts = module.guardduty_response.for_member_accounts
}
