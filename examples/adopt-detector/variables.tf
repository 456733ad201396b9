variable "region" {
  description = "The Region of the detector."
  type        = string
  default     = "eu-central-1"
}

variable "detector_id" {
  description = "Id of the detector that exists: aws guardduty list-detectors --query 'DetectorIds[0]' --output text"
  type        = string
}

variable "email_addresses" {
  description = "Who gets the messages; each address confirms its subscription once."
  type        = list(string)
  default     = []
}
