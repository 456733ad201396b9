variable "region" {
  description = "Region of the StackSets, and of the stacks of the roles. IAM is global: one Region is enough for them."
  type        = string
  default     = "eu-central-1"
}

variable "for_member_accounts_file" {
  description = "File with the output for_member_accounts_json of the security account. The one beside this file shows what it looks like."
  type        = string
  default     = "for_member_accounts.json"
}

variable "organizational_units" {
  description = "Maps a name of your choice to an OU or root whose accounts get the roles and the forwarders."
  type        = map(string)
}

variable "forwarder_regions" {
  description = "Regions in which the accounts have resources, and the one that records IAM's calls."
  type        = set(string)
  default     = ["eu-central-1", "us-east-1"]
}

variable "call_as" {
  description = "SELF from the management account, DELEGATED_ADMIN from a delegated administrator of StackSets."
  type        = string
  default     = "SELF"
}
