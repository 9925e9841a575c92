"""`python -m pipeline.cli` is `cloudmask`."""

from pipeline.cli.app import main

main()
