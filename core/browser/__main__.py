"""`python -m core.browser [--install]`: the command of `core.browser_finder`, under the package's name."""

import sys

from core.browser_finder import main

sys.exit(main())
