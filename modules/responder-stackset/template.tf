# The template of the roles has one resource for each role, with its policy inside, so that no role ever exists without its
# policy or its denial.

locals {
  # A role's boundary is a policy of its own account or one of AWS. Another account's id in the ARN therefore means
  # the member's.
  boundary = var.permissions_boundary == null ? null : replace(
    var.permissions_boundary,
    "::${try(regex("::([0-9]{12}):", var.permissions_boundary)[0], "none")}:",
    "::$${AWS::AccountId}:",
  )
  tags          = [for name in sort(keys(var.tags)) : { Key = name, Value = var.tags[name] }]
  tags_property = { for name, value in { Tags = local.tags } : name => value if length(value) > 0 }

  name = coalesce(var.name, "${var.for_member_accounts.name_prefix}-member-roles")

  roles = merge(module.roles.roles, module.roles.instance_roles)
  # Names of resources in CloudFormation consist of letters and digits.
  logical_ids = { for key in keys(local.roles) : key => join("", [for word in regexall("[a-z0-9]+", key) : title(word)]) }

  # Without the statements' names: CloudFormation takes 51,200 bytes in a call.
  policies = {
    for key, role in local.roles : key => {
      for kind, document in { policy = jsondecode(role.policy), trust = jsondecode(role.trust_policy) } : kind => {
        Version                      = document.Version
        Statement                    = [for statement in document.Statement : { for name, value in statement : name => value if name != "Sid" }]
      }
    }
  }

  role_resources = {
    for key, role in local.roles : "${local.logical_ids[key]}Role" => {
      Type = "AWS::IAM::Role"
      Properties = merge(
        {
          RoleName                 = role.name
          Description              = role.description
          Path                     = role.path
          MaxSessionDuration       = role.max_session_duration
          AssumeRolePolicyDocument = local.policies[key].trust
          Policies                 = [{ PolicyName = role.policy_name, PolicyDocument = local.policies[key].policy }]
        },
        { for name, value in { PermissionsBoundary = local.boundary } : name => value if value != null },
        local.tags_property,
      )
    }
  }
  profile_resources = {
    for key, role in module.roles.instance_roles : "${local.logical_ids[key]}Profile" => {
      Type = "AWS::IAM::InstanceProfile"
      Properties = {
        InstanceProfileName = role.name
        Path                = role.path
        Roles               = [{ Ref = "${local.logical_ids[key]}Role" }]
      }
    }
  }

  documents = merge(
    {
      roles = jsonencode({
        AWSTemplateFormatVersion = "2010-09-09"
        Description              = "GuardDuty response: what it may do in a member account."
        Resources                = merge(local.role_resources, local.profile_resources)
      })
    },
    { for name, document in { forwarders = local.forwarder_document } : name => document if local.forwards },
  )

  # Every string value that holds a placeholder of CloudFormation's becomes { "Fn::Sub": string }; a policy variable of IAM's
  # ($${aws:username}) is kept from it by an exclamation mark, as Fn::Sub wants it. (Terraform has no recursion over values.)
  string  = "\"(?:[^\"\\\\]|\\\\.)*\\$\\{(?:[^\"\\\\]|\\\\.)*\""
  begin   = join("", ["$", "{"]) # apart, for tools that take it for a template's own
  escaped = { for name, document in local.documents : name => replace(replace(document, local.begin, "${local.begin}!"), "${local.begin}!AWS::", "${local.begin}AWS::") }
  templates = {
    for name, document in local.escaped : name => replace(document, "/(${local.string})([,\\]}])/", "{\"Fn::Sub\":$1}$2")
  }
}
