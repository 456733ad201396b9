"""The module on a local AWS: emulators, seeded resources, Terraform, findings in, incidents out."""
