"""`greenroom` whose jobs are trained by the scripted process, put before the command of `ServerProcess`."""

import sys

from greenroom.cli import main
from greenroom.offline.finetune import desk, outside

if __name__ == "__main__":
    outside.TRAINER = "tests.offline.finetune.scripted_trainer"
    desk._LIBRARIES = ()  # type: ignore[assignment]  # nothing has to be installed
    del sys.argv[1:4]  # the interpreter, -m, greenroom
    sys.exit(main())
