"""`python -m lrnet`, and with it `torchrun -m lrnet`."""

import sys

from lrnet.cli import main

sys.exit(main())
