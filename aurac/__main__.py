"""`python -m aurac`, also what `accelerate launch -m aurac` runs."""

import sys

from aurac.cli import main

sys.exit(main())
