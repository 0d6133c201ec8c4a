"""What the fork server imports: all that stages need of other packages."""

from fanout import forks

forks.load()
