variable "region" {
  description = "The home Region."
  type        = string
  default     = "eu-central-1"
}

variable "email_addresses" {
  description = "Who gets the messages; each address confirms its subscription once, in every Region."
  type        = list(string)
  default     = []
}

variable "forensics_profile" {
  description = "Profile of the account that keeps copies of snapshots. null: this account, which protects them from the accounts they are copied out of, and not from whoever is in this one."
  type        = string
  default     = null
}
