variable "detector_id" {
  description = "Id of the detector that exists."
  type        = string
  nullable    = false
}

variable "features" {
  description = "Maps a protection plan to { status, configurations }: what is to be set."
  type        = map(object({ status = string, configurations = map(string) }))
  nullable    = false
}
