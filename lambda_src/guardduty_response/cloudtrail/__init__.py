"""Reading CloudTrail: events, queries over a time range, trails, and who undid a containment."""
