output "id" {
  description = "Id of the detector (null when none was created or named)."
  value       = local.detector_id
  depends_on  = [aws_guardduty_detector_feature.this]
}
