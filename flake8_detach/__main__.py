"""`python -m flake8_detach` is `flake8-detach`."""

import sys

from flake8_detach.cli import main

sys.exit(main())
