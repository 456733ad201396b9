# An auto incident with nothing before containment.

remediations = { "CryptoCurrency:EC2/*" = "auto" }

evidence = {
  force_destroy = true
}
