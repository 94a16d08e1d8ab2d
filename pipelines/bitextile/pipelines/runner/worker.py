"""The process of a local worker: Beam's, which ends with the command that started it.

`python -m bitextile.pipelines.runner.worker PID`; Beam's own never notices that the runner is gone.
"""

import sys

from bitextile.schema.confinement import install
from bitextile.schema.processes import end_with


def main() -> None:
    """Serves a runner until it has no more work, or until its process ends."""
    # Before Beam is imported, which takes seconds.
    end_with(int(sys.argv[1]))
    install()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
