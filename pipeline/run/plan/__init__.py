"""From a job to a plan: what would be read, masked and composed, and why."""
