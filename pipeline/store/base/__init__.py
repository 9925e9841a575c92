"""Where a store lies, and how errors of its storage become ours."""
