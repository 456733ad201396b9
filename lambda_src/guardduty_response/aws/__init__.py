"""What every call to AWS uses: clients, role sessions, error codes, DynamoDB values."""
