variable "for_member_accounts" {
  description = "What modules/region-forwarder takes, with a forwarder that is not null."
  type = object({
    name_prefix = string
    iam_path    = string
    forwarder = object({
      event_bus_arn = string
      rules         = map(object({ description = string, pattern = string }))
    })
  })
  nullable = false
}

variable "account_id" {
  description = "The account, or its placeholder in a template (\"$${AWS::AccountId}\")."
  type        = string
  nullable    = false
}

variable "region" {
  description = "The Region, or its placeholder in a template (\"$${AWS::Region}\")."
  type        = string
  nullable    = false
}
