variable "account_id" {
  description = "The member account, or its placeholder in a template (\"$${AWS::AccountId}\")."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]{12}|\\$\\{AWS::AccountId\\})$", var.account_id))
    error_message = "account_id must be a 12-digit account id, or $${AWS::AccountId} for a CloudFormation template."
  }
}
