"""A plugin whose import takes a minute, and says when it has begun."""

import os
import time
from pathlib import Path

Path(os.environ["HAL_TEST_BEGUN"]).touch()
time.sleep(60.0)
