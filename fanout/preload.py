"""What the fork server imports: all that stages need of other packages."""

import signal

from fanout import forks

signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C; the leader ends the server
forks.load()
