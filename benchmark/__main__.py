"""`python -m reshift.benchmark` is `reshift`."""

import sys

from reshift.benchmark.cli import main

sys.exit(main())
