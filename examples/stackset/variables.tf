variable "region" {
  description = "Region of the StackSet and its stacks. IAM is global: one Region is enough."
  type        = string
  default     = "eu-central-1"
}

variable "security_account_id" {
  description = "The account in which the response runs."
  type        = string
}

variable "organization_id" {
  description = "AWS Organizations id (o-…)."
  type        = string
}

variable "organizational_units" {
  description = "Maps a name of your choice to an OU or root whose accounts get the roles."
  type        = map(string)
}

variable "call_as" {
  description = "SELF from the management account, DELEGATED_ADMIN from a delegated administrator of StackSets."
  type        = string
  default     = "SELF"
}
