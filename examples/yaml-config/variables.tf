variable "region" {
  description = "The Region GuardDuty and its response run in."
  type        = string
  default     = "eu-central-1"
}

variable "remediations" {
  description = "Finding type or glob => mode, over what remediations.yaml says."
  type        = map(string)
  default     = {}
}

variable "email_addresses" {
  description = "Who gets the messages; each address confirms its subscription once."
  type        = list(string)
  default     = []
}
