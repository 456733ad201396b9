"""Where a caller says it calls from: everything here comes from loopback."""

SOURCE_HEADER = "x-sandbox-source-ip"
